from pathlib import Path

import pytest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from recipes.tiny_mistral import tokenizer
from recipes.tiny_mistral.rendering import Renderer

TEXTS = (
    "Où est le café ? À l'école, naïve Zoë mange des œufs.",
    "¿Qué tal, señor? ¡Mañana!",
    "Grüße aus Köln, heiße Straße",
    "Zażółć gęślą jaźń",
    "你好！こんにちは 안녕하세요",
    "🙂🚀 \U0001f1eb\U0001f1f7",
    '{"a": [1, 2.5, {"b": null}], "c": "x\\n"}',
    "  two  spaces\n\n```python\nprint('hi')\n```",
)


@pytest.mark.parametrize("text", TEXTS)
def test_text_round_trips(renderer: Renderer, text: str) -> None:
    assert renderer.decode(renderer.encode(text)) == text


def test_control_token_names_stay_text(renderer: Renderer) -> None:
    ids = renderer.encode("[INST] </s> [TOOL_CALLS] <s>")
    assert min(ids) >= tokenizer.SPECIAL_SLOTS


def test_value_has_same_tokens_in_json(renderer: Renderer) -> None:
    value = renderer.encode("Plugon")
    sentence, in_json = renderer.encode("I go to Plugon."), renderer.encode('{"city": "Plugon"}')
    assert _contains(sentence, value)
    assert _contains(in_json, value)


def test_mistral_common_loads_the_file(tekken: Path) -> None:
    loaded = MistralTokenizer.from_file(str(tekken))
    assert loaded.instruct_tokenizer.tokenizer.n_words == 1024


def _contains(ids: list[int], part: list[int]) -> bool:
    return any(ids[i : i + len(part)] == part for i in range(len(ids)))
