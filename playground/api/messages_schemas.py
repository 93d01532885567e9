"""The body of Anthropic's ``POST /v1/messages``: its fields, and the blocks of its content."""

from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from playground.api.parameters import Unsupported, UnsupportedParameters
from playground.api.schemas import Body, HistoryBody, listed

MESSAGES = UnsupportedParameters(
    ignored=MappingProxyType(
        {
            "metadata": "names the caller's own user; nothing is kept of it",
            "service_tier": "there is one tier",
            "speed": "there is one speed",
            "inference_geo": "there is one place",
            "cache_control": "the prefix cache needs no hint",
            "diagnostics": "the prefix cache needs no hint",
            "context_management": "nothing is cleared from a conversation",
        }
    ),
    refused=MappingProxyType(
        {
            "container": Unsupported("no code runs here"),
            "mcp_servers": Unsupported("run the tools on your side", ([],)),
        }
    ),
)


def _as_blocks(value: Any) -> Any:
    return listed(value, lambda text: {"type": "text", "text": text})


class TextBlock(HistoryBody):
    """Text; images and documents are refused."""

    type: str
    text: str = ""

    @field_validator("type")
    @classmethod
    def _only_text(cls, value: str) -> str:
        if value != "text":
            raise PydanticCustomError(
                "unsupported_content",
                "must be text, the only content supported; got {kind}",
                {"kind": repr(value)},
            )
        return value


Texts = Annotated[list[TextBlock], BeforeValidator(_as_blocks)]


class Block(HistoryBody):
    """A block of a message: text, a call, its result, or what the model thought."""

    type: Literal["text", "tool_use", "tool_result", "thinking", "redacted_thinking"]
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    tool_use_id: str = ""
    content: Texts = Field(default_factory=list)
    is_error: bool = False


class MessageParam(HistoryBody):
    """A message of the conversation so far."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Block], BeforeValidator(_as_blocks)]


class ToolParam(HistoryBody):
    """A function that the model may call; the tools that Anthropic defines are not here."""

    type: Literal["custom"] | None = None
    name: str
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None


class ToolChoiceParam(Body):
    """Which tools may or must be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Thinking(HistoryBody):
    """Whether the model may think before it answers, where it can."""

    type: Literal["enabled", "adaptive", "disabled"]


class OutputFormat(Body):
    """The form of the answer."""

    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(Body):
    """The form of the answer, and how much to think for it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class MessagesBody(Body):
    """``POST /v1/messages``, and ``…/count_tokens``, which needs no ``max_tokens``."""

    model: str
    messages: list[MessageParam]
    max_tokens: int | None = None
    system: Texts = Field(default_factory=list)
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[ToolParam] | None = None
    tool_choice: ToolChoiceParam | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
