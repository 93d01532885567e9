"""Links to a demo: what opens, what is left, and who that is for the one check."""

import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from playground.access import (
    Access,
    Area,
    Credentials,
    DemoLinks,
    DemoRules,
    Identity,
    acting_as,
)
from playground.access.links import CLOSED, UNKNOWN, token_of
from playground.backends.router import ModelRouter
from playground.backends.scripted import ScriptedBackend
from playground.errors import (
    Forbidden,
    InvalidRequest,
    LinkClosed,
    ModelLoading,
    RequestFailed,
    Unauthorized,
    UnknownLink,
    UnknownModel,
)
from playground.protocol import Delta, Message, ModelInfo, Request, StreamEvent
from playground.settings import AccessSettings
from playground.store.accounts import Accounts
from playground.store.links import Link, Links

PAGE = ("GET", "/")
DEMO = AccessSettings(demo=True, demo_models=("base",), demo_system_prompt="Be kind.")


@pytest.fixture
def links(tmp_path: Path) -> Iterator[DemoLinks]:
    with (
        closing(Accounts(tmp_path)) as accounts,
        closing(DemoLinks(Links(tmp_path), accounts)) as links,
    ):
        yield links


def guest(links: DemoLinks, link: Link, **given: str) -> Identity:
    access = Access(asks=True, links=links)
    return access.admit(*PAGE, Credentials(link=token_of(link), address="x", **given))


def closed(word: str) -> str:
    return dict(CLOSED)[word]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"tab": "finetune"}, "tab"),
        ({"models": []}, "models"),
        ({"models": ["a", "b"]}, "models"),
        ({"models": list("abcdefg"), "tab": "compare"}, "models"),
        ({"models": ["a" * 257]}, "models"),
        ({"days": 0.0}, "days"),
        ({"days": float("nan")}, "days"),
        ({"answers": 0}, "answers"),
        ({"tokens": 2**31}, "tokens"),
        ({"system_prompt": "x" * 20_001}, "system_prompt"),
    ],
)
def test_a_wrong_link_names_its_field(
    links: DemoLinks, changed: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        links.create(**({"models": ["law"]} | changed))  # type: ignore[arg-type]
    assert refused.value.field == field
    assert not links.all()


def test_a_token_opens_its_link(links: DemoLinks) -> None:
    link = links.create(["law"], system_prompt="Be brief.", answers=3, tokens=100)
    assert links.opened(token_of(link), anew=True) == link
    assert link.expires == pytest.approx(time.time() + 7 * 86_400, abs=60)


def test_a_changed_token_opens_nothing(links: DemoLinks) -> None:
    link, other = links.create(["law"]), links.create(["base"])
    later = replace(link, expires=link.expires + 86_400)
    name, end, signature = token_of(link).split(".")
    tokens = [
        f"{name}.{token_of(later).split('.')[1]}.{signature}",  # lives longer
        f"{other.id}.{end}.{signature}",
        token_of(later),
        f"{name}.{end}.",
        f"{name}.{end}.{'A' * 43}",
        f"{token_of(link)}\n",
        "",
        "é" * 40,
    ]
    for token in tokens:
        with pytest.raises(LinkClosed, match=UNKNOWN):
            links.opened(token)


def test_another_process_revokes_a_link(links: DemoLinks, tmp_path: Path) -> None:
    link = links.create(["law"])
    with closing(DemoLinks(Links(tmp_path))) as another:
        another.revoke(link.id)
    for anew in (True, False):
        with pytest.raises(LinkClosed, match=closed("revoked")):
            links.opened(token_of(link), anew=anew)
    with pytest.raises(UnknownLink):
        links.revoke("000000000000")


def test_an_expired_link_opens_nothing(links: DemoLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    link = links.create(["law"], days=1)
    monkeypatch.setattr("playground.store.links.time", SimpleNamespace(time=lambda: link.expires))
    with pytest.raises(LinkClosed, match=closed("expired")):
        links.opened(token_of(link))


@pytest.mark.slow
def test_requests_at_once_take_no_more(tmp_path: Path) -> None:
    with closing(Links(tmp_path)) as store:
        link = DemoLinks(store).create(["law"], answers=5)
        with ThreadPoolExecutor(8) as pool:
            begun = list(pool.map(store.begin_answer, [link.id] * 20))
        assert sum(begun) == 5
        assert store.find(link.id).answers == 5


async def events(*pieces: str) -> AsyncGenerator[StreamEvent, None]:
    for piece in pieces:
        if piece == "fails":
            raise RequestFailed("no")
        yield Delta(piece)


async def answered(links: DemoLinks, identity: Identity, *pieces: str) -> int:
    request = Request(model="law", messages=(Message("user", "Hi"),))
    with acting_as(identity):
        return len([event async for event in links.watch(request, "", events(*pieces))])


async def test_answers_and_tokens_are_counted(links: DemoLinks) -> None:
    link = links.create(["law"], answers=2, tokens=1000)
    identity = guest(links, link)
    for _ in range(2):
        assert await answered(links, identity, "a", "b", "c") == 3
    assert [(each.answers, each.tokens) for each in links.all()] == [(2, 6)]
    with pytest.raises(LinkClosed, match=closed("used up")):
        await answered(links, identity, "a")
    assert links.opened(token_of(link))  # whoever is inside sees the page, and why
    with pytest.raises(LinkClosed, match=closed("used up")):
        guest(links, link)


async def test_spent_tokens_close_a_link(links: DemoLinks) -> None:
    identity = guest(links, links.create(["law"], tokens=2))
    assert await answered(links, identity, "a", "b", "c") == 3  # an answer that began ends
    with pytest.raises(LinkClosed, match=closed("used up")):
        await answered(links, identity, "a")


async def test_an_answer_that_fails_is_given_back(links: DemoLinks) -> None:
    link = links.create(["law"], answers=1)
    identity = guest(links, link)
    with pytest.raises(RequestFailed):
        await answered(links, identity, "fails")
    with pytest.raises(RequestFailed):
        await answered(links, identity, "a", "fails")
    with pytest.raises(LinkClosed):
        await answered(links, identity, "a")


async def test_an_answer_that_is_left_counts(links: DemoLinks) -> None:
    link = links.create(["law"], answers=1)
    request = Request(model="law", messages=(Message("user", "Hi"),))
    with acting_as(guest(links, link)):
        stream = links.watch(request, "", events("a", "b"))
        await anext(stream)
        await stream.aclose()
    assert [(each.answers, each.tokens) for each in links.all()] == [(1, 1)]


def test_a_link_is_a_guest_of_one_tab(links: DemoLinks) -> None:
    identity = guest(links, links.create(["law"], "compare"))
    assert (identity.role, identity.via) == ("guest", "visit")
    assert identity.tabs == frozenset({"compare"})
    identity.require(Area.CHAT, "compare")
    for area, tab in ((Area.CHAT, "chat"), (Area.FILES, "prompts"), (Area.ADMIN, "admin")):
        with pytest.raises(Forbidden, match="this link does not open that"):
            identity.require(area, tab)


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("GET", "/v1/models", Unauthorized),
        ("POST", "/v1/chat/completions", Unauthorized),
        ("POST", "/gradio_api/call/chat", Unauthorized),
        ("GET", "/v1/admin/links", Unauthorized),
        ("POST", "/gradio_api/upload", Forbidden),
        ("GET", "/d/another/", Unauthorized),
    ],
)
def test_a_link_opens_the_page_alone(
    links: DemoLinks, method: str, path: str, error: type[Exception]
) -> None:
    access, link = Access("sesame", asks=True, links=links), links.create(["law"])
    given = Credentials("Bearer sesame", link=token_of(link))  # a key opens no more by a link
    assert access.admit("POST", "/gradio_api/queue/join", given).is_guest
    with pytest.raises(error):
        access.admit(method, path, given)


def test_no_links_where_nobody_signs_in(links: DemoLinks) -> None:
    given = Credentials(link=token_of(links.create(["law"])))
    with pytest.raises(LinkClosed, match="nobody signs in here"):
        Access(links=links).admit(*PAGE, given)
    assert Access(links=links).admit("GET", "/assets/a.js", given).name == "nobody"


def test_a_links_models_and_prompt_hold(links: DemoLinks) -> None:
    rules = DemoRules(DEMO)
    models = [ModelInfo("base", 100), ModelInfo("base:law", 100, adapter="law")]
    request = Request(model="base:law", messages=(Message("user", "Hi"),))
    link = links.create(["law", "law.v2"], "compare", system_prompt="Be brief.")
    with acting_as(guest(links, link)):
        assert [info.name for info in rules.visible(models)] == ["base:law"]
        assert rules.missing(models) == ["law.v2"]
        assert rules.asked(request, models).messages[0].content == "Be brief."
    with acting_as(guest(links, links.create(["law"]))):  # the demo's own prompt holds
        assert rules.asked(request, models).messages[0].content == "Be kind."


async def test_a_version_is_served_for_its_link(links: DemoLinks) -> None:
    backend = ScriptedBackend(lambda request: ["fine"], models=(ModelInfo("scripted", 100),))
    asked: list[str] = []
    router = ModelRouter(backend, (), rules=DemoRules(DEMO), serve=asked.append)  # type: ignore[arg-type]
    with acting_as(guest(links, links.create(["scripted.v3", "scripted"], "compare"))):
        assert [info.name for info in await router.models()] == ["scripted"]
    assert asked == ["scripted.v3"]


async def test_a_version_that_loads_is_not_unknown(
    links: DemoLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = ScriptedBackend(lambda request: ["fine"], models=(ModelInfo("scripted", 100),))
    with acting_as(guest(links, links.create(["law"]))):
        with pytest.raises(UnknownModel, match=r"'law' is not served here$"):
            await ModelRouter(backend, (), rules=DemoRules(DEMO)).models()  # type: ignore[arg-type]
        monkeypatch.setattr(ScriptedBackend, "loading", True)
        with pytest.raises(ModelLoading):
            await ModelRouter(backend, (), rules=DemoRules(DEMO)).models()  # type: ignore[arg-type]
