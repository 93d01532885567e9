import random
from pathlib import Path
from typing import Any

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from recipes.tiny_mistral.corpus import FAMILIES, Draw, Row, Split
from recipes.tiny_mistral.rendering import CALLS, EOS, Renderer

ROWS_EACH = 12


@pytest.fixture(scope="module")
def common(tekken: Path) -> MistralTokenizer[Any, Any, Any, Any, Any]:
    return MistralTokenizer.from_file(str(tekken))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_prompt_is_rendered_as_mistral_common_renders_it(
    family: str, renderer: Renderer, common: MistralTokenizer[Any, Any, Any, Any, Any]
) -> None:
    for split in Split:
        draw = Draw(random.Random(11), split)
        for _ in range(ROWS_EACH):
            row = FAMILIES[family](draw)
            assert renderer.prompt(row) == common.encode_chat_completion(_request(row)).tokens


def test_the_answer_and_its_end_are_learned_and_the_question_is_not(renderer: Renderer) -> None:
    draw = Draw(random.Random(12))
    for family in ("chat.facts", "tools.call", "extraction"):
        row = FAMILIES[family](draw)
        rendered, prompt = renderer.row(row), renderer.prompt(row)
        assert rendered.ids[: len(prompt)] == prompt
        assert all(rendered.learned[len(prompt) :])
        assert rendered.ids[-1] == EOS
    assert rendered.learned[0] is False


def test_a_call_with_a_random_id_is_not_learned(renderer: Renderer) -> None:
    row = FAMILIES["tools.answer"](Draw(random.Random(13)))
    rendered = renderer.row(row)
    at = rendered.ids.index(CALLS)
    assert not any(rendered.learned[: at + 1])
    assert any(rendered.learned)


def _request(row: Row) -> ChatCompletionRequest[Any]:
    return ChatCompletionRequest(
        messages=[turn.as_openai() for turn in row.prompt], tools=list(row.tools) or None
    )
