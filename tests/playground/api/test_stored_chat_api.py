"""Stored chat completions and uploads in parts, through the unmodified `openai` client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from playground.api import create_api
from playground.backends.scripted import ScriptedBackend
from playground.services import Services
from playground.settings import Settings
from playground.store.completions import Completions, KeptCompletion
from tests.playground.api.serving import running

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[openai.OpenAI]:
    completions = Completions(tmp_path)
    services = Services.create(
        ScriptedBackend(lambda request: ["fi", "ne"]),
        Settings(home=tmp_path),
        completions=completions,
    )
    with (
        running(create_api(services)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        client.model = client.models.list().data[0].id  # type: ignore[attr-defined]
        yield client
    completions.close()


def chat(client: openai.OpenAI, **fields: Any) -> Any:
    model = client.model  # type: ignore[attr-defined]
    return client.chat.completions.create(
        **{"model": model, "messages": HELLO, "store": True} | fields
    )


def test_stored_completion_comes_back(client: openai.OpenAI) -> None:
    made = chat(client, metadata={"team": "desk"})
    kept = client.chat.completions.retrieve(made.id)
    assert kept.choices[0].message.content == "fine"
    assert kept.usage == made.usage
    assert kept.metadata == {"team": "desk"}


def test_streamed_completion_is_stored_whole(client: openai.OpenAI) -> None:
    *_, last = list(chat(client, stream=True, n=2))
    kept = client.chat.completions.retrieve(last.id)
    assert [choice.message.content for choice in kept.choices] == ["fine", "fine"]
    assert kept.object == "chat.completion"


def test_nothing_stored_unless_asked(client: openai.OpenAI) -> None:
    chat(client, store=False)
    chat(client, store=None, metadata=None)
    assert client.chat.completions.list().data == []


def test_stored_completions_listed_in_pages(client: openai.OpenAI) -> None:
    made = [chat(client, metadata={"n": str(n % 2)}).id for n in range(4)]
    listed = client.chat.completions.list
    assert [each.id for each in listed(limit=1)] == made
    assert [each.id for each in listed(limit=3, order="desc")] == made[::-1]
    assert [each.id for each in listed(metadata={"n": "1"})] == made[1::2]
    assert listed(model="nobody").data == []
    with pytest.raises(openai.NotFoundError) as caught:
        listed(after="chatcmpl-0")
    assert caught.value.param == "after"


def test_stored_messages_have_ids(client: openai.OpenAI) -> None:
    made = chat(client)
    messages = list(client.chat.completions.messages.list(made.id, limit=1))
    assert [(each.role, each.content) for each in messages] == [
        ("system", "Be brief."),
        ("user", "Hello!"),
    ]
    assert len({each.id for each in messages}) == 2


def test_stored_completion_relabelled_and_deleted(client: openai.OpenAI) -> None:
    made = chat(client, metadata={"a": "b"})
    changed = client.chat.completions.update(made.id, metadata={"c": "d"})
    assert changed.metadata == {"c": "d"}
    assert client.chat.completions.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(made.id)


def test_oldest_completions_make_room(tmp_path: Path) -> None:
    completions = Completions(tmp_path, most=2)
    for name in "abc":
        completions.keep(KeptCompletion(name, "m", {}, [], {"id": name}))
    assert [kept.id for kept in completions.page(5)[0]] == ["b", "c"]
    completions.close()


def test_metadata_over_limit_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, metadata={"a": "b" * 513})
    assert caught.value.param == "metadata.a"
    assert json.loads(caught.value.response.text)["error"]["code"] == "invalid_type"
