"""`bind`: named updates become Gradio's, and Gradio still finds the handlers' parameters."""

import inspect
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import gradio as gr
import pytest
import pytest_asyncio
from fastapi import FastAPI
from gradio.helpers import special_args
from gradio_client import Client  # type: ignore[import-untyped]

from playground.errors import InvalidRequest
from playground.ui.components.binding import UNCHANGED, Bound, Unchanged, bind
from playground.ui.components.visiting import ASKS_NOBODY
from playground.ui.page import mount_page
from tests.playground.api.serving import running
from tests.playground.ui.helpers import drain


@dataclass(frozen=True)
class Side:
    """Two components of a side."""

    label: gr.Textbox
    answer: gr.Textbox
    other: gr.Textbox


@dataclass(frozen=True)
class Parts:
    """Components in all the forms in which parts hold them."""

    name: gr.Textbox
    count: gr.Number
    state: gr.State
    sides: tuple[Side, ...]
    fields: dict[str, gr.Number]
    inner: Side


@dataclass(frozen=True)
class SideUpdate:
    label: str | Unchanged = UNCHANGED
    answer: str | Unchanged = UNCHANGED


@dataclass(frozen=True)
class Update:
    name: str | Unchanged = UNCHANGED
    count: float | Unchanged | None = UNCHANGED
    sides: tuple[SideUpdate, ...] | Unchanged = UNCHANGED
    fields: dict[str, float] | Unchanged = UNCHANGED
    inner: SideUpdate | Unchanged = UNCHANGED


@dataclass(frozen=True)
class NameUpdate:
    name: str | Unchanged = UNCHANGED


@pytest_asyncio.fixture
async def parts() -> Parts:
    with gr.Blocks():
        sides = tuple(Side(gr.Textbox(), gr.Textbox(), gr.Textbox()) for _ in range(2))
        inner = Side(gr.Textbox(), gr.Textbox(), gr.Textbox())
        fields = {"low": gr.Number(), "high": gr.Number()}
        return Parts(gr.Textbox(), gr.Number(), gr.State(), sides, fields, inner)


def every_kind(text: str) -> Update:
    return Update(
        name=text,
        count=None,
        sides=(SideUpdate(answer="a"), SideUpdate(label="b")),
        fields={"high": 2.0},
        inner=SideUpdate(label="c"),
    )


async def awaited(text: str) -> NameUpdate:
    return NameUpdate(text)


async def streamed(text: str) -> AsyncGenerator[NameUpdate, None]:
    for end in range(1, len(text) + 1):
        yield NameUpdate(text[:end])


def nothing(text: str) -> NameUpdate:
    return NameUpdate()


def only_acts(text: str) -> None:
    raise InvalidRequest("text", f"{text} is refused")


def with_event_data(edited: gr.EditData, page: gr.Request, text: str, **rest: float) -> NameUpdate:
    return NameUpdate(f"{text} {edited.value} {rest}")


async def test_outputs_are_the_named_components_alone(parts: Parts) -> None:
    outputs = bind(every_kind, parts)["outputs"]
    assert outputs == [
        parts.name,
        parts.count,
        parts.sides[0].label,
        parts.sides[0].answer,
        parts.sides[1].label,
        parts.sides[1].answer,
        *parts.fields.values(),
        parts.inner.label,
        parts.inner.answer,
    ]


async def test_updates_reach_components_in_tuples_mappings_and_dataclasses(parts: Parts) -> None:
    assert bind(every_kind, parts)["fn"]("x") == {
        parts.name: "x",
        parts.count: None,
        parts.sides[0].answer: "a",
        parts.sides[1].label: "b",
        parts.fields["high"]: 2.0,
        parts.inner.label: "c",
    }


async def test_an_empty_update_skips_every_output(parts: Parts) -> None:
    assert bind(nothing, parts)["fn"]("x") == {parts.name: gr.skip()}


async def test_coroutines_and_generators_stay_what_they_are(parts: Parts) -> None:
    assert inspect.iscoroutinefunction(bind(awaited, parts)["fn"])
    stream = bind(streamed, parts)["fn"]
    assert inspect.isasyncgenfunction(stream)
    assert await drain(stream("ab")) == [{parts.name: "a"}, {parts.name: "ab"}]


async def test_an_empty_stream_skips_every_output(parts: Parts) -> None:
    stream = bind(streamed, parts)["fn"]
    assert await drain(stream("")) == [{parts.name: gr.skip()}]


def test_a_handler_without_updates_has_no_outputs() -> None:
    assert bind(only_acts)["outputs"] is None


async def test_a_handler_that_returns_a_tuple_is_refused(parts: Parts) -> None:
    def by_position() -> tuple[str, str]:
        return "a", "b"

    with pytest.raises(TypeError, match="no dataclass of updates"):
        bind(by_position, parts)


async def test_a_component_that_the_parts_lack_is_named(parts: Parts) -> None:
    with pytest.raises(AttributeError, match="name"):
        bind(nothing, parts.inner)


async def test_parameters_and_special_arguments_are_still_found(parts: Parts) -> None:
    fn = bind(with_event_data, parts)["fn"]
    assert list(inspect.signature(fn).parameters) == ["edited", "page", "text", "rest"]
    request, edited = (
        gr.Request(),
        gr.EditData(None, {"index": 0, "previous_value": "", "value": "new"}),
    )
    inputs, _, event_data_index, _ = special_args(fn, ["hello"], request, edited)
    assert event_data_index == 0
    assert inputs[1:] == [request, "hello"]


async def test_a_partial_keeps_the_parameters_that_are_left(parts: Parts) -> None:
    def named(prefix: str, text: str) -> NameUpdate:
        return NameUpdate(prefix + text)

    fn = bind(partial(named, ">"), parts)["fn"]
    assert list(inspect.signature(fn).parameters) == ["text"]
    assert fn("x") == {parts.name: ">x"}


def test_our_errors_are_toasts_with_their_own_words() -> None:
    with pytest.raises(gr.Error, match="x is refused") as caught:
        bind(only_acts)["fn"]("x")
    assert caught.value.title == "Not accepted"


def test_other_errors_are_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def breaks() -> None:
        raise KeyError("secret")

    with pytest.raises(gr.Error) as caught:
        bind(breaks)["fn"]()
    assert caught.value.title == "Internal error"
    assert "secret" not in caught.value.message
    assert "KeyError" in caplog.text


@dataclass(frozen=True)
class Reply:
    second: str
    first: str


def greet(text: str, page: gr.Request, *, loud: bool = False, times: float = 1) -> Reply:
    said = text * int(times)
    return Reply(first=said.upper() if loud else said, second=str(page is not None))


async def grow(text: str) -> AsyncGenerator[Reply, None]:
    for end in range(1, len(text) + 1):
        yield Reply(first=text[:end], second=str(end))


@dataclass(frozen=True)
class ReplyParts:
    first: gr.Textbox
    second: gr.Textbox


@contextmanager
def served(reverse: bool) -> Iterator[Client]:
    """A page with these handlers, its outputs in this order or the other."""
    with gr.Blocks(analytics_enabled=False) as page:
        setattr(page, ASKS_NOBODY, True)  # else its handlers take nobody's word
        first, second = gr.Textbox(), gr.Textbox()
        text, loud, times = gr.Textbox(), gr.Checkbox(), gr.Number()
        parts, button = ReplyParts(first, second), gr.Button()

        def bound(handler: object) -> Bound:
            found = bind(handler, parts)  # type: ignore[arg-type]
            if reverse and found["outputs"]:
                found["outputs"].reverse()
            return found

        kwargs = {"loud": loud, "times": times}
        button.click(**bound(greet), inputs=text, inputs_kwargs=kwargs, api_name="greet")
        button.click(**bound(grow), inputs=text, api_name="grow")
        button.click(**bind(only_acts), inputs=text, api_name="refuse")
    with running(mount_page(FastAPI(), page)) as url:
        client = Client(url, verbose=False)
        yield client
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
async def test_a_served_page_shows_updates_whatever_the_order(reverse: bool) -> None:
    order = -1 if not reverse else 1
    with served(reverse) as client:
        assert client.predict("ab", True, 2, api_name="/greet")[::order] == ("ABAB", "True")
        stream = client.submit("abc", api_name="/grow")
        assert [update[::order] for update in stream] == [("a", "1"), ("ab", "2"), ("abc", "3")]
        with pytest.raises(Exception, match="x is refused"):
            client.predict("x", api_name="/refuse")
