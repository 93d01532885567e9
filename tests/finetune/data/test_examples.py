"""The trained tokens are what serving renders, and only the assistant's are trained on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.dataset import prepare
from finetune.data.examples import MASKED, to_examples
from finetune.data.preview import preview_row
from finetune.data.rows import Conversation
from finetune.recipe import embedded_cpu
from playground.errors import InvalidSettings
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Message, Tool, ToolCall

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = Tool("get_weather", "Get the weather", CITY)
CALL = ToolCall("abcDEF123", "get_weather", '{"city": "Oslo"}')
TALK = (
    Message("system", "Be brief."),
    Message("user", "Hi [INST]"),
    Message("assistant", "Hello!"),
    Message("user", "Weather in Oslo?"),
    Message("assistant", tool_calls=(CALL,)),
    Message("tool", '{"sky": "clear"}', tool_call_id="abcDEF123"),
    Message("assistant", "Clear."),
)


@pytest.fixture(scope="module")
def tokenizer() -> MistralTokenizer:
    return MistralTokenizer(EMBEDDED_FOLDER)


@pytest.mark.parametrize("tools", [(), (TOOL,)])
def test_examples_follow_the_served_prompt(
    tokenizer: MistralTokenizer, tools: tuple[Tool, ...]
) -> None:
    examples = to_examples(Conversation(TALK, tools, 1), tokenizer)
    prompts = [
        tokenizer.render(TALK[:at], tools) for at, m in enumerate(TALK) if m.role == "assistant"
    ]
    for prompt in prompts:
        assert any(
            list(example.token_ids[: len(prompt)]) == prompt
            and example.labels[len(prompt)] != MASKED
            for example in examples
        )


def test_examples_train_only_assistant_tokens(tokenizer: MistralTokenizer) -> None:
    examples = to_examples(Conversation(TALK, (TOOL,), 1), tokenizer)
    learned = [[t for t in example.labels if t != MASKED] for example in examples]
    spelled = b"|".join(b"".join(map(tokenizer.token_bytes, ids)) for ids in learned).decode()
    assert spelled == 'Hello!|[{"name": "get_weather", "arguments": {"city": "Oslo"}}]|Clear.'
    (end,) = tokenizer.end_ids
    assert all(ids[-1] == end for ids in learned)
    assert [ids[0] == tokenizer.calls_id for ids in learned] == [False, True, False]


def test_plain_conversation_is_one_example(
    tokenizer: MistralTokenizer,
) -> None:
    talk = (*TALK[1:4], Message("assistant", "I do not know."))
    (example,) = to_examples(Conversation(talk, (), 1), tokenizer)
    (end,) = tokenizer.end_ids
    assert [t for t in example.labels if t == end] == [end, end]


@pytest.mark.slow
def test_too_long_row_is_reported_not_cut(tokenizer: MistralTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "long " * 200, "completion": "ok"}
    path.write_text("\n" * 6 + json.dumps(row) + "\n")
    data = prepare([path], tokenizer, tmp_path).select(replace(embedded_cpu(), max_length=64))
    (error,) = data.errors
    assert not data.train
    assert str(error).startswith("rows.jsonl:7: messages: has ")
    assert (error.code, data.num_too_long) == ("too_long", 1)
    with pytest.raises(InvalidSettings, match="64 at most"):
        preview_row(path, 7, tokenizer, 64)
