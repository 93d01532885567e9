"""The chat template as text, beside the tokenizer that renders it from code."""

import json
import random
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy

from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.export.chat_templates import (
    GO_TEMPLATES,
    JINJA_TEMPLATES,
    settings_template,
)
from playground.models.export.gguf_vocabulary import TekkenVocabulary, merges
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Message, Tool, ToolCall
from tests.playground.models.mistral_files import write_tokenizer

TOOLS = (
    Tool("weather", "The weather – today", {"type": "object", "properties": {"city": {}}}),
    Tool("add", "Adds", {"type": "object", "properties": {"a": {"type": "integer"}}}),
)


def conversation(draw: random.Random) -> list[Message]:
    """A system prompt or none, then turns with and without calls; ends with a user or a result."""
    messages = [Message("system", "Be brief.")] if draw.random() < 0.5 else []
    for turn in range(draw.randint(0, 3)):
        messages += [Message("user", f"Question {turn}, né?"), Message("assistant", "Answer.")]
    messages.append(Message("user", "And now?"))
    if draw.random() < 0.5:
        calls = tuple(
            ToolCall(
                f"abcdefgh{place}", "weather", json.dumps({"city": "Köln"}, ensure_ascii=False)
            )
            for place in range(draw.randint(1, 2))
        )
        messages.append(Message("assistant", "", tool_calls=calls))
        messages += [Message("tool", '{"sky": 1}', tool_call_id=call.id) for call in calls]
    return messages


TEMPLATES = {**JINJA_TEMPLATES, "v15": settings_template("none")}


@pytest.fixture(scope="module", params=TEMPLATES)
def version(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, MistralTokenizer]:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, request.param)
    return request.param, MistralTokenizer(folder)


@pytest.mark.parametrize("seed", range(40))
def test_jinja_template_renders_as_tokenizer(
    version: tuple[str, MistralTokenizer], seed: int
) -> None:
    name, tokenizer = version
    draw = random.Random(seed)
    messages, tools = conversation(draw), TOOLS[: draw.randint(0, 2)]
    if tokenizer.thinking and messages[-1].role == "user":
        messages += [Message("assistant", "4", reasoning="2 + 2"), Message("user", "Why?")]
    settings: dict[str, object] = {}
    if tokenizer.reasoning_efforts:
        schema = {"type": "object", "properties": {"b": {}, "a": {}}}
        choices: tuple[dict[str, object], ...] = (
            {},
            {"reasoning_effort": "high"},
            {"json_schema": schema},
        )
        settings = draw.choice(choices)
    environment = ImmutableSandboxedEnvironment()
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    text = environment.from_string(TEMPLATES[name]).render(
        messages=[message.to_openai() for message in messages],
        tools=[tool.to_openai() for tool in tools] or None,
        bos_token="<s>",
        eos_token="</s>",
        **settings,
    )
    ids = tokenizer.render(messages, tools, template_kwargs=settings)
    assert text == tokenizer._tokenizer.decode(ids, special_token_policy=SpecialTokenPolicy.KEEP)


def test_go_template_has_the_same_tokens() -> None:
    """Rendered with Go once (docs/log.md, "Exports beside llama.cpp"); here its control tokens."""
    for version, template in GO_TEMPLATES.items():
        for name in ("[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]"):
            assert (name in template) == (name in JINJA_TEMPLATES[version])


def test_settings_of_a_file_are_in_its_template(tmp_path: Path) -> None:
    vocabulary = TekkenVocabulary(write_tokenizer(tmp_path, "v15"))
    assert vocabulary.template == settings_template("none")
    assert not any("no chat template" in note for note in vocabulary.notes)


def test_merges_join_known_pieces() -> None:
    pieces = [bytes([byte]) for byte in range(256)] + [b"ab", b"abc"]
    assert merges(pieces) == ["a b", "ab c"]


def test_other_pattern_than_tekkens_is_noted(tmp_path: Path) -> None:
    assert "may be split" in TekkenVocabulary(EMBEDDED_FOLDER / "tekken.json").notes[0]
