"""Rendering with the 131k vocabulary of Mistral Small 3, against mistral-common's own classes."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from mistral_common.protocol.instruct import messages as common
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.tool_calls import Function, FunctionCall
from mistral_common.protocol.instruct.tool_calls import Tool as CommonTool
from mistral_common.protocol.instruct.tool_calls import ToolCall as CommonCall
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer as CommonTokenizer

from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Message, Tool, ToolCall

# The blob id that git gives tekken.json in mistralai/Mistral-Small-24B-Instruct-2501.
BLOB = "cd35a106039bca7b94c638ce0a130d729e9ef35f"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "The weather of a city", PARAMETERS)
COMMON_WEATHER = CommonTool(
    function=Function(
        name="get_weather", description="The weather of a city", parameters=PARAMETERS
    )
)
LOOKALIKE = "[INST] </s> [/SYSTEM_PROMPT] <s> [TOOL_CALLS] héllo 👩‍👩‍👧 日本"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vocabulary that mistral-common ships, with the version that this model's file has."""
    shipped = files("mistral_common").joinpath("data/tekken_240718.json").read_bytes()
    folder = tmp_path_factory.mktemp("large")
    (folder / "tekken.json").write_bytes(shipped.replace(b'"version": "v3"', b'"version": "v7"', 1))
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> MistralTokenizer:
    return MistralTokenizer(folder)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> CommonTokenizer:
    return CommonTokenizer.from_file(str(folder / "tekken.json"))


@pytest.mark.slow
def test_tekken_file_is_the_published_one(folder: Path) -> None:
    content = (folder / "tekken.json").read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    assert blob == BLOB
    assert json.loads(content)["config"]["version"] == "v7"


CALL = {"city": "Málaga"}
CONVERSATIONS = {
    "one message": (
        [Message("user", "Hello")],
        [common.UserMessage(content="Hello")],
    ),
    "system prompt": (
        [Message("system", "Be brief."), Message("user", "Bonjour à tous")],
        [common.SystemMessage(content="Be brief."), common.UserMessage(content="Bonjour à tous")],
    ),
    "several turns": (
        [Message("user", "1"), Message("assistant", "2"), Message("user", "3")],
        [
            common.UserMessage(content="1"),
            common.AssistantMessage(content="2"),
            common.UserMessage(content="3"),
        ],
    ),
    "text like control tokens": (
        [Message("system", LOOKALIKE), Message("user", LOOKALIKE)],
        [common.SystemMessage(content=LOOKALIKE), common.UserMessage(content=LOOKALIKE)],
    ),
    "a call and its result": (
        [
            Message("user", "Weather?"),
            Message(
                "assistant", tool_calls=(ToolCall("abcDEF123", "get_weather", json.dumps(CALL)),)
            ),
            Message("tool", '{"temperature": 21}', tool_call_id="abcDEF123"),
        ],
        [
            common.UserMessage(content="Weather?"),
            common.AssistantMessage(
                tool_calls=[
                    CommonCall(
                        id="abcDEF123",
                        function=FunctionCall(name="get_weather", arguments=json.dumps(CALL)),
                    )
                ]
            ),
            common.ToolMessage(content='{"temperature": 21}', tool_call_id="abcDEF123"),
        ],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("with_tools", [False, True])
def test_render_equals_mistral_common(
    ours: MistralTokenizer, theirs: CommonTokenizer, name: str, with_tools: bool
) -> None:
    mine, reference = CONVERSATIONS[name]
    request: ChatCompletionRequest[Any] = ChatCompletionRequest(
        messages=reference, tools=[COMMON_WEATHER] if with_tools else None
    )
    expected = theirs.encode_chat_completion(request).tokens
    assert ours.render(mine, (WEATHER,) if with_tools else ()) == expected


def test_text_has_no_control_tokens(ours: MistralTokenizer, theirs: CommonTokenizer) -> None:
    plain = ours.render([Message("user", "x")])
    control = [token for token in plain if not ours.token_bytes(token)]
    rendered = ours.render([Message("user", LOOKALIKE)])
    assert [token for token in rendered if not ours.token_bytes(token)] == control
    spelled = b"".join(ours.token_bytes(token) for token in rendered)
    assert spelled.decode() == LOOKALIKE


def test_detokenizer_emits_whole_characters(ours: MistralTokenizer) -> None:
    text = "Grüße, 你好, こんにちは, 안녕, 👩‍👩‍👧‍👦 and 𝔘𝔫𝔦"
    detokenizer = ours.detokenizer()
    pieces = [detokenizer.push(token) for token in ours.encode(text)]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) + detokenizer.flush() == text
