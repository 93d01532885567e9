"""The Functions tab's handlers: ask, approve, deny, write a result, without a browser."""

import json

import gradio as gr
import pytest

from playground.errors import InvalidRequest
from playground.protocol import Message, ToolCall
from playground.store import Feedback
from playground.tools import Toolbox, built_in_tools
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.examples import examples_for
from playground.ui.components.messages import text_of
from playground.ui.functions.events import FunctionForm, FunctionHandlers
from playground.ui.functions.gallery import gallery_names, tools_json
from playground.ui.functions.timeline import Run, Timeline, from_text, to_text
from playground.ui.functions.updates import ConversationUpdate
from tests.playground.ui.helpers import drain, drain_failing, page_request, scripted

EXAMPLES = examples_for("embedded").functions
WEATHER = "What is the weather in Paris?"


def form(**changes: object) -> FunctionForm:
    values: FunctionForm = {
        "model": "embedded",
        "tools": tools_json(["get_weather"]),
        "choice": "auto",
        "parallel": True,
        "allow": [],
        "never": None,
        "system": None,
        "temperature": 0.0,
        "max_tokens": 256.0,
        "conversation": "",
    }
    values.update(changes)  # type: ignore[typeddict-item]
    return values


def written(update: ConversationUpdate) -> str:
    """Everything that the timeline shows."""
    turns = [(item["metadata"], text_of(item["content"])) for item in update.chatbot]
    return json.dumps(turns, ensure_ascii=False).replace('\\"', '"').replace("\\\\n", " ")


@pytest.fixture
def tab(answering: Answering) -> FunctionHandlers:
    return FunctionHandlers(answering, Toolbox(built_in_tools()), EXAMPLES, False)


async def asked(tab: FunctionHandlers, text: str, **changes: object) -> ConversationUpdate:
    updates = await drain(tab.send(text, Timeline(), "", **form(**changes)))
    return updates[-1]


@pytest.mark.slow
async def test_a_call_waits_is_approved_run_and_answered_from(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, WEATHER)
    assert waiting.note == "1 call waits for a result"
    assert (waiting.run.visible, waiting.deny.visible, waiting.running) == (True, True, "")
    assert "get_weather" in written(waiting)
    assert "waiting for you" in written(waiting)
    assert waiting.panel.visible is False
    assert tab.show_panel(waiting.timeline).panel.visible is True
    call = waiting.call.value
    updates = await drain(tab.approve(call, waiting.timeline, **form()))
    assert "demo data" in written(updates[-1])
    assert "celsius is 19" in written(updates[-1])
    assert any(update.running for update in updates)


@pytest.mark.slow
async def test_an_allowed_function_runs_without_asking(tab: FunctionHandlers) -> None:
    assert "celsius is 19" in written(await asked(tab, WEATHER, allow=["get_weather"]))


@pytest.mark.slow
async def test_a_function_that_never_runs_is_refused_at_once(tab: FunctionHandlers) -> None:
    assert "did not allow" in written(await asked(tab, WEATHER, never=["get_weather"]))


@pytest.mark.slow
async def test_a_denied_call_is_not_run(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, WEATHER)
    updates = await drain(tab.deny(waiting.call.value, waiting.timeline, **form()))
    assert "did not allow" in written(updates[-1])


@pytest.mark.slow
async def test_a_result_written_by_hand_is_followed_and_replaced(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, WEATHER)
    call = waiting.call.value
    green = await drain(tab.use_result(call, '{"sky": "green"}', waiting.timeline, **form()))
    assert "sky is green" in written(green[-1])
    assert "written by you" in written(green[-1])
    again = await drain(tab.use_result(call, '{"sky": "purple"}', green[-1].timeline, **form()))
    assert "sky is purple" in written(again[-1])
    assert "sky is green" not in written(again[-1])


async def test_an_empty_result_is_refused(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, WEATHER)
    _, error = await drain_failing(
        tab.use_result(waiting.call.value, " ", waiting.timeline, **form())
    )
    assert "write what the function returns" in str(error)
    assert await drain(tab.use_result("gone", "1", waiting.timeline, **form())) == []


@pytest.mark.slow
async def test_two_calls_wait_one_after_the_other(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, EXAMPLES[2].prompt)
    assert waiting.note == "2 calls wait for a result"
    second = (await drain(tab.approve(waiting.call.value, waiting.timeline, **form())))[-1]
    assert second.note == "1 call waits for a result"
    assert second.call.value != waiting.call.value
    done = (await drain(tab.approve(second.call.value, second.timeline, **form())))[-1]
    assert "The weather:" in written(done)


@pytest.mark.slow
async def test_a_call_is_decided_upon_once(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, WEATHER)
    denied = (await drain(tab.deny(waiting.call.value, waiting.timeline, **form())))[-1]
    _, error = await drain_failing(tab.approve(waiting.call.value, denied.timeline, **form()))
    assert isinstance(error, InvalidRequest)
    chosen = tab.choose_call(waiting.call.value, denied.timeline)
    assert "did not allow" in chosen.result
    assert (chosen.run.visible, chosen.deny.visible) == (False, False)


@pytest.mark.slow
async def test_asking_on_denies_calls_that_wait(tab: FunctionHandlers) -> None:
    waiting = await asked(tab, WEATHER)
    updates = await drain(tab.send("Never mind.", waiting.timeline, "", **form()))
    assert "the user asked something else" in written(updates[0])


async def test_a_tool_that_cannot_run_here_waits_for_its_result(answering: Answering) -> None:
    tab = FunctionHandlers(answering, Toolbox(), EXAMPLES, False)
    waiting = await asked(tab, WEATHER)
    assert (waiting.run.visible, waiting.deny.visible) == (False, True)


@pytest.mark.parametrize(("draft", "running"), [(" ", ""), ("Hi", "an-id")])
async def test_nothing_is_sent_when_empty_or_busy(
    tab: FunctionHandlers, draft: str, running: str
) -> None:
    assert await drain(tab.send(draft, Timeline(), running, **form())) == []


async def test_stop_ends_the_answer(feedback: Feedback) -> None:
    answering = scripted(lambda request: iter(["a "] * 10_000))
    tab = FunctionHandlers(answering, Toolbox(), EXAMPLES, False)

    def stop(update: ConversationUpdate) -> None:
        tab.stop(update.running)

    plain = form(model="scripted", tools="[]", max_tokens=4096.0)
    updates = await drain(tab.send("Hi", Timeline(), "", **plain), stop)
    assert "stopped by you" in updates[-1].note
    assert tab.reset_inputs().message.submit_btn is True


async def test_a_new_chat_is_empty(tab: FunctionHandlers) -> None:
    update = await tab.new_chat("")
    assert (update.timeline, update.chatbot, update.note) == (Timeline(), [], "")
    assert update.call.value is None


def test_an_example_brings_its_functions(tab: FunctionHandlers) -> None:
    update = tab.choose_example(gr.SelectData(None, {"index": 1, "value": ""}))
    names = [entry["function"]["name"] for entry in json.loads(str(update.tools))]
    assert names == list(EXAMPLES[1].tools)
    assert update.message == EXAMPLES[1].prompt
    assert update.choice == "auto"


async def test_a_pasted_signature_joins_the_functions(tab: FunctionHandlers) -> None:
    update = tab.add_pasted("def ring_bell(times: int = 1): ...", tools_json(["get_weather"]))
    assert "ring_bell" in str(update.tools)
    assert update.paste == ""
    assert "2 functions" in str((await tab.check(str(update.tools), "auto", None)).verdict)


def test_a_gallery_function_replaces_one_of_its_name(tab: FunctionHandlers) -> None:
    first = tab.add_from_gallery("book_hotel", tools_json(["get_weather"]))
    assert first.gallery is None
    again = tab.add_from_gallery("book_hotel", str(first.tools))
    assert again.tools == first.tools
    assert tab.add_from_gallery(None, "[]").tools is UNCHANGED
    assert {"get_weather", "check_parcel"} <= set(gallery_names())


async def test_wrong_functions_are_said_and_choices_kept(tab: FunctionHandlers) -> None:
    update = await tab.check("[{", "auto", None)
    assert 'class="bad"' in str(update.verdict)
    assert update.choice is UNCHANGED
    with pytest.raises(InvalidRequest):
        tab.add_pasted("def f(): ...", "[{")


async def test_tool_choices_follow_the_functions(tab: FunctionHandlers) -> None:
    for name, value in (("get_weather", "name:get_weather"), ("book_hotel", "auto")):
        choice = (await tab.check(tools_json([name]), "name:get_weather", None)).choice
        assert isinstance(choice, gr.Dropdown)
        assert choice.value == value


def test_the_request_is_shown_as_code(tab: FunctionHandlers) -> None:
    changes = form(choice="name:get_weather", parallel=False, system="Be brief.")
    update = tab.code(page_request(), Timeline(), "weather in Rome", **changes)
    assert "tools=" in str(update.python)
    assert "weather in Rome" in str(update.python)
    assert "parallel_tool_calls=False" in str(update.python)
    assert "get_weather" in str(update.curl)
    assert "Be brief." in str(update.curl)


async def test_cut_call_is_shown_and_not_run(tab: FunctionHandlers) -> None:
    """With what was written of it; the next question begins without it."""
    cut = await asked(tab, WEATHER, max_tokens=8.0, allow=["get_weather"])
    assert "stopped at max tokens, not run" in written(cut)
    assert "get_weather" in written(cut)
    assert not cut.timeline.calls
    updates = await drain(tab.send(WEATHER, cut.timeline, "", **form()))
    assert "not run" not in written(updates[-1])


def test_a_kept_conversation_comes_back_whole() -> None:
    messages = (
        Message("user", "Paris?"),
        Message("assistant", tool_calls=(ToolCall("1", "get_weather", "{}"),)),
        Message("tool", "19", tool_call_id="1"),
        Message("assistant", "It is 19.", reasoning="so"),
    )
    timeline = Timeline(messages, {"1": Run(seconds=0.5)}).by("embedded")
    assert from_text(to_text(timeline)) == timeline
    assert from_text('{"messages": [{"role": "nobody"}]}') == Timeline()
    assert to_text(Timeline()) == ""
