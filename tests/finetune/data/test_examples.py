"""What is trained is what serving shows, and only the assistant's words are learned."""

import pytest

from finetune.data.examples import MASKED, to_examples
from finetune.data.rows import Conversation
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
def test_every_trained_answer_follows_the_prompt_that_serving_renders(
    tokenizer: MistralTokenizer, tools: tuple[Tool, ...]
) -> None:
    examples, errors = to_examples(Conversation(TALK, tools, 1), tokenizer, 4096)
    assert not errors
    prompts = [
        tokenizer.render(TALK[:at], tools) for at, m in enumerate(TALK) if m.role == "assistant"
    ]
    for prompt in prompts:
        assert any(
            list(example.token_ids[: len(prompt)]) == prompt
            and example.labels[len(prompt)] != MASKED
            for example in examples
        )


def test_only_the_assistants_words_and_their_end_are_learned(tokenizer: MistralTokenizer) -> None:
    examples, _ = to_examples(Conversation(TALK, (TOOL,), 1), tokenizer, 4096)
    learned = [[t for t in example.labels if t != MASKED] for example in examples]
    spelled = b"|".join(b"".join(map(tokenizer.token_bytes, ids)) for ids in learned).decode()
    assert spelled == 'Hello!|[{"name": "get_weather", "arguments": {"city": "Oslo"}}]|Clear.'
    (end,) = tokenizer.end_ids
    assert all(ids[-1] == end for ids in learned)
    assert [ids[0] == tokenizer.calls_id for ids in learned] == [False, True, False]


def test_a_plain_conversation_is_one_view_that_learns_every_answer(
    tokenizer: MistralTokenizer,
) -> None:
    talk = (*TALK[1:4], Message("assistant", "I do not know."))
    (example,), _ = to_examples(Conversation(talk, (), 1), tokenizer, 4096)
    (end,) = tokenizer.end_ids
    assert [t for t in example.labels if t == end] == [end, end]


def test_a_row_that_is_too_long_is_named_and_not_cut(tokenizer: MistralTokenizer) -> None:
    talk = (Message("user", "long " * 200), Message("assistant", "ok"))
    examples, (error,) = to_examples(Conversation(talk, (), 7), tokenizer, 64, "rows.jsonl")
    assert not examples
    assert str(error).startswith("rows.jsonl:7: messages: has ")
