"""The body of ``POST /v1/responses``: fields and types, and the items of its input.

As strict as the bodies of chat (`playground.api.schemas`); items of the conversation so far are
read as a history is, whose unknown fields are ignored.
"""

from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from playground.api.parameters import REASONS, Unsupported, UnsupportedParameters
from playground.api.schemas import Body, HistoryBody, listed

RESPONSES = UnsupportedParameters(
    ignored=MappingProxyType(
        REASONS
        | {
            "stream_options": "only padding against eavesdroppers; none is sent",
            "max_tool_calls": "counts the calls of built-in tools; there are none",
        }
    ),
    refused=MappingProxyType(
        {
            "background": Unsupported("an answer is waited for, or streamed", (False,)),
            "truncation": Unsupported("a prompt is never cut; shorten the input", ("disabled",)),
            "context_management": Unsupported("nothing of a conversation is compacted", ([],)),
            "moderation": Unsupported("answers are not moderated"),
        }
    ),
)
MAX_METADATA = 16


def _as_input(value: Any) -> Any:
    return listed(value, lambda text: {"role": "user", "content": text})


def _as_parts(value: Any) -> Any:
    return listed(value, lambda text: {"type": "input_text", "text": text})


class ContentPart(HistoryBody):
    """Text of a message or of a tool's result; images, sounds and files are refused."""

    type: str
    text: str = ""
    refusal: str = ""

    @field_validator("type")
    @classmethod
    def _only_text(cls, value: str) -> str:
        known = ("input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text")
        if value not in known:
            raise PydanticCustomError(
                "unsupported_content",
                "must be text, the only content supported; got {kind}",
                {"kind": repr(value)},
            )
        return value


Parts = Annotated[list[ContentPart], BeforeValidator(_as_parts)] | None


class InputItem(HistoryBody):
    """An item of the conversation: a message, a call, its result, reasoning, or a reference to an
    item of a stored response."""

    type: Literal[
        "message", "function_call", "function_call_output", "reasoning", "item_reference"
    ] = "message"
    id: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: Parts = None
    summary: Parts = None
    call_id: str | None = None
    name: str | None = None
    arguments: str = "{}"
    output: Parts = None


class FunctionTool(Body):
    """A function that the model may call; the tools that OpenAI runs itself are not here."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedFunctionChoice(Body):
    """A function by its name."""

    type: Literal["function"]
    name: str


class AllowedFunctions(Body):
    """A choice among a subset of the functions."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedFunctionChoice]


class TextFormat(Body):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextConfig(Body):
    """What the text is to be like; how long it is, a message says."""

    format: TextFormat | None = None
    verbosity: Literal["medium"] | None = None


class Reasoning(Body):
    """How much to reason. What was reasoned is shown whole, so that a summary is nothing more."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ConversationReference(Body):
    """A conversation by its id."""

    id: str


class ResponsesBody(Body):
    """``POST /v1/responses``. None: not given."""

    model: str
    input: Annotated[list[InputItem], BeforeValidator(_as_input)] = Field(default_factory=list)
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationReference | None = None
    store: bool | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: (
        Literal["auto", "none", "required"] | NamedFunctionChoice | AllowedFunctions | None
    ) = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | (
        None
    ) = Field(default=None, max_length=MAX_METADATA)

    @property
    def conversation_id(self) -> str | None:
        """The conversation that is gone on with."""
        given = self.conversation
        return given.id if isinstance(given, ConversationReference) else given

    @property
    def wants_logprobs(self) -> bool:
        """Whether the text is to come with its tokens' log-probabilities."""
        return "message.output_text.logprobs" in (self.include or ())
