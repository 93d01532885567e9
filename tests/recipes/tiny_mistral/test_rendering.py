import random
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from recipes.tiny_mistral.corpus import FAMILIES, CorpusRow, Draw, Split
from recipes.tiny_mistral.rendering import CALLS, EOS, Renderer

ROWS_PER_SPLIT = 12
Tokenizer: TypeAlias = "MistralTokenizer[Any, Any, Any, Any, Any]"


@pytest.fixture(scope="module")
def common(tekken: Path) -> Tokenizer:
    return MistralTokenizer.from_file(str(tekken))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_prompt_equals_mistral_common(family: str, renderer: Renderer, common: Tokenizer) -> None:
    for split in Split:
        draw = Draw(random.Random(11), split)
        for _ in range(ROWS_PER_SPLIT):
            row = FAMILIES[family](draw)
            assert renderer.prompt(row) == common.encode_chat_completion(_request(row)).tokens


def test_only_the_answer_is_trained(renderer: Renderer) -> None:
    draw = Draw(random.Random(12))
    for family in ("chat.facts", "tools.call", "extraction"):
        row = FAMILIES[family](draw)
        rendered, prompt = renderer.row(row), renderer.prompt(row)
        assert rendered.ids[: len(prompt)] == prompt
        assert all(rendered.trained[len(prompt) :])
        assert rendered.ids[-1] == EOS
    assert rendered.trained[0] is False


def test_call_with_random_id_is_not_trained(renderer: Renderer) -> None:
    row = FAMILIES["tools.answer"](Draw(random.Random(13)))
    rendered = renderer.row(row)
    start = rendered.ids.index(CALLS)
    assert not any(rendered.trained[: start + 1])
    assert any(rendered.trained)


def _request(row: CorpusRow) -> ChatCompletionRequest[Any]:
    return ChatCompletionRequest(
        messages=[turn.as_openai() for turn in row.prompt], tools=list(row.tools) or None
    )
