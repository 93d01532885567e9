"""What the API's answers took: ours and OpenAI's shape, and whose it is."""

import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import openai
import pytest

from playground.access import Access, People
from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.backends.router import ModelRouter
from playground.lab.usage import UsageMeter
from playground.services import Services
from playground.settings import load_settings
from playground.store.accounts import Accounts
from playground.store.usage import DAY_S, UsageStore
from tests.playground.api.serving import running

PRICES = {"usage.prices": ["embedded=2/4"], "usage.gpu_usd_per_hour": 1.0}
DAY = int(time.time()) // DAY_S * DAY_S


@pytest.fixture(scope="module")
def keys(
    tmp_path_factory: pytest.TempPathFactory, backend: LocalBackend
) -> Iterator[dict[str, str]]:
    """A server with accounts on which two people and the administrator asked something; the keys
    by their names, and the address as ``url``."""
    home = tmp_path_factory.mktemp("home")
    settings = load_settings({"home": str(home), "access.accounts": True} | PRICES)
    with (
        closing(People(Accounts(home))) as people,
        closing(UsageMeter(UsageStore(home), settings.usage)) as meter,
    ):
        made = {}
        for name in ("ana", "ben"):
            people.add_account(name, "user", "correct-horse")
            made[name] = people.add_key(name, ["chat"], account=name).secret
        made["root"] = people.add_key("root", ["admin"]).secret
        router = ModelRouter(backend, (), meter.watch)
        access = Access.from_settings(settings.access, people)
        with running(create_api(Services.create(router, settings, access, usage=meter))) as url:
            for name, count in (("ana", 2), ("ben", 1)):
                with openai.OpenAI(base_url=f"{url}/v1", api_key=made[name]) as client:
                    for _ in range(count):
                        client.chat.completions.create(
                            model="embedded", max_tokens=4,
                            messages=[{"role": "user", "content": "Hi!"}],
                        )  # fmt: skip
            yield made | {"url": url}


def report(keys: dict[str, str], name: str, query: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {keys[name]}"}
    return httpx.get(f"{keys['url']}/v1/usage{query}", headers=headers)


def test_everybody_sees_their_own(keys: dict[str, str]) -> None:
    seen = report(keys, "ana", "?group_by=user&group_by=source&days=1").json()
    assert [(line["answers"], line["source"]) for line in seen["data"]] == [
        (2, "/v1/chat/completions")
    ]
    assert seen["own_gpu"] is None
    whole = report(keys, "root", "?group_by=key").json()
    assert sorted(line["answers"] for line in whole["data"]) == [1, 2]
    total = whole["total"]
    assert total["cost_usd"] == pytest.approx(
        (2 * total["prompt_tokens"] + 4 * total["completion_tokens"]) / 1e6
    )
    assert whole["own_gpu"]["usd_per_million_tokens"] > 0


def test_wrong_groups_are_refused(keys: dict[str, str]) -> None:
    refused = report(keys, "ana", "?group_by=planet")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "group_by"


def test_openais_client_reads_usage(keys: dict[str, str]) -> None:
    with openai.OpenAI(
        base_url=f"{keys['url']}/v1", api_key="none", admin_api_key=keys["root"]
    ) as client:
        usage = client.admin.organization.usage
        page = usage.completions(start_time=DAY, group_by=["user_id", "model"], limit=1)
        results = page.data[0].results
        assert page.data[0].start_time == DAY
        assert sorted(each.num_model_requests for each in results) == [1, 2]  # type: ignore[union-attr]
        assert {each.model for each in results} == {"embedded"}  # type: ignore[union-attr]
        hours = usage.completions(start_time=DAY, bucket_width="1h", limit=2)
        assert len(hours.data) == 2 or not hours.has_more
        costs = usage.costs(start_time=DAY, group_by=["line_item"])
        items = {each.line_item: each for each in costs.data[0].results}  # type: ignore[union-attr]
        assert set(items) <= {
            "embedded, input_tokens", "embedded, cached_input_tokens", "embedded, output_tokens"
        }  # fmt: skip
        written = items["embedded, output_tokens"]
        assert written.amount.value == pytest.approx(4e-6 * written.quantity)  # type: ignore[union-attr, operator]
