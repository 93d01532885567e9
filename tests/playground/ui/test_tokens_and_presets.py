"""Beside the Chat tab: tokens in colors, forks of an answer, presets."""

import html
import json
import re

import pytest

from playground.errors import InvalidRequest
from playground.protocol import Sampling
from playground.ui.chat.events import ChatHandlers
from playground.ui.chat.presets import MOST, OURS, PresetHandlers, own_presets
from playground.ui.chat.tokens import TokenHandlers, answer_key, fork_of
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.messages import History, text_of, turn, versions_of
from playground.ui.components.sampling import control_values
from tests.playground.ui.helpers import changed, drain, drain_failing

TALK: History = [turn("user", "Tell me about Rome."), turn("assistant", "Rome is <b>old</b>.")]
VALUES = dict(control_values(Sampling(temperature=0.0, max_tokens=12)))


@pytest.fixture
def tokens(answering: Answering) -> TokenHandlers:
    return TokenHandlers(answering)


async def test_colored_answer_is_the_text(tokens: TokenHandlers) -> None:
    view = (await tokens.color(TALK, "embedded", "", **VALUES)).view
    line = view[view.index("token-line") : view.index("legend")]
    spans = re.findall(r'data-others="(.*?)">(.*?)</span>', line)
    assert html.unescape("".join(text for _, text in spans)).startswith("Rome is <b>old</b>.")
    others = json.loads(html.unescape(spans[0][0]))
    assert len(others) == 5
    assert any(other["forks"] for other in others)


async def test_nothing_to_color_is_said(tokens: TokenHandlers) -> None:
    for history in ([], TALK[:1]):
        with pytest.raises(InvalidRequest, match="send a message first"):
            await tokens.color(history, "embedded", "", **VALUES)
    with pytest.raises(InvalidRequest, match="write one first"):
        await tokens.show_prompt([], " ", "embedded", "", **VALUES)


async def test_prompt_shows_draft_and_control_tokens(tokens: TokenHandlers) -> None:
    view = (await tokens.show_prompt(TALK, "And <now>?", "embedded", "Be brief.", **VALUES)).view
    assert '<span class="control">&lt;s&gt;</span>' in view
    assert "now" in view
    assert "User 2" in view
    assert "nothing is cut" in view


async def test_text_is_measured(tokens: TokenHandlers) -> None:
    view = (await tokens.perplexity("Rome is old.", "embedded")).view
    assert re.search(r"perplexity \d+\.\d\d", view)


@pytest.mark.slow
async def test_fork_is_kept_beside_the_answer(answering: Answering) -> None:
    chat = ChatHandlers(answering, False)
    said = text_of(TALK[-1]["content"])
    token = answering.backend.encode_plain("Paris")[0]  # type: ignore[attr-defined]
    chosen = json.dumps({"position": 0, "token_id": token, "answer": answer_key(said)})
    last = (await drain(chat.fork(chosen, TALK, "", "embedded", "", **VALUES)))[-1]
    shown = changed(last.chatbot)
    start = answering.backend.decode([token])  # type: ignore[attr-defined]
    assert text_of(shown[-1]["content"]).startswith(start)
    versions = [text_of(each["content"]) for each in versions_of(shown[-1])]
    assert versions[0] == said
    assert len(versions) == 2


@pytest.mark.parametrize(
    "chosen", ["", "[", '{"position": 0}', '{"position": 0, "token_id": 5, "answer": "another"}']
)
async def test_fork_of_another_answer_refused(answering: Answering, chosen: str) -> None:
    chat = ChatHandlers(answering, False)
    _, error = await drain_failing(chat.fork(chosen, TALK, "", "embedded", "", **VALUES))
    assert isinstance(error, InvalidRequest)
    with pytest.raises(InvalidRequest):
        fork_of(chosen, TALK)


def test_preset_sets_sampling_only() -> None:
    update = PresetHandlers().use("Precise", {}, "embedded", "Be kind.", **VALUES)
    assert update.system is UNCHANGED
    assert (update.sampling["temperature"], update.sampling["max_tokens"]) == (0.0, 12)
    assert update.preferences["system_prompt"] == "Be kind."


def test_own_preset_comes_back() -> None:
    presets = PresetHandlers()
    kept = changed(presets.save(" Pirate ", {}, "Arr!", **VALUES).kept)
    update = presets.use("Pirate", kept, "embedded", "", **VALUES)
    assert (update.system, dict(update.sampling)) == ("Arr!", VALUES)
    assert changed(presets.delete("Pirate", kept).kept) == {}
    with pytest.raises(InvalidRequest, match="there is none"):
        presets.use("Pirate", {}, "embedded", "", **VALUES)


@pytest.mark.parametrize("name", ["", "x" * 61, *OURS])
def test_preset_name_is_checked(name: str) -> None:
    with pytest.raises(InvalidRequest, match="preset_name"):
        PresetHandlers().save(name, {}, "", **VALUES)


def test_damaged_presets_are_left_out() -> None:
    good = {"system": "", **VALUES}
    kept = {"good": good, "bad": {**good, "temperature": 99}, "worse": "text"}
    assert list(own_presets(kept)) == ["good"]
    assert own_presets("damaged") == {}
    many = {f"p{n}": good for n in range(MOST)}
    with pytest.raises(InvalidRequest, match="delete one first"):
        PresetHandlers().save("one more", many, "", **VALUES)
    with pytest.raises(InvalidRequest, match="of your own"):
        PresetHandlers().delete("Precise", many)
