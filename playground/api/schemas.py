"""Request bodies: fields and types. Ranges are checked when a `Sampling` is made.

Strict: a number in quotes is not a number, and a field that is not here is an error.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from playground.api.parameters import CHAT, COMPLETION, UnsupportedParameters

Prompt = str | tuple[int, ...]
PromptInput = str | list[str] | list[int] | list[list[int]]


class Body(BaseModel):
    """Strict and frozen; unknown fields are an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ExpiresBody(Body):
    """How long a file stays: so many seconds, from an hour to 30 days."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


Labels = (
    Annotated[
        dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
        Field(max_length=16),
    ]
    | None
)
"""OpenAI's ``metadata``: up to 16 texts by name."""


class HistoryBody(BaseModel):
    """A part of the conversation so far: strict, but fields that it does not know are ignored.

    Clients send back what servers gave them and what their front ends keep beside it.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("wrong_form", "must be {problem}", {"problem": problem})


def listed(value: Any, of_text: Callable[[str], Any] = str) -> Any:
    """A list as it is; text is a list of one, of what ``of_text`` makes of it."""
    if isinstance(value, str):
        return [of_text(value)]
    if not isinstance(value, list):
        raise PydanticCustomError("wrong_form", "should be text or a list")
    return value


def _as_list(value: Any) -> Any:
    return listed(value)


ONE_OR_MANY = BeforeValidator(_as_list, json_schema_input_type=str | list[str])


def _as_parts(value: Any) -> Any:
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if value is not None and not isinstance(value, list):
        raise _wrong("text, a list of text parts or null")
    return value


def _as_prompts(value: Any) -> list[Prompt]:
    """OpenAI's four forms of ``prompt`` as one: text, texts, token ids, lists of token ids."""
    if isinstance(value, str) or _is_token_ids(value):
        value = [value]
    if not (isinstance(value, list) and value):
        raise _wrong("text, token ids, or a list of either that is not empty")
    if all(isinstance(prompt, str) for prompt in value):
        return list(value)
    if all(_is_token_ids(prompt) for prompt in value):
        return [tuple(prompt) for prompt in value]
    raise _wrong("either all text or all token ids")


def _is_token_ids(value: Any) -> bool:
    whole = isinstance(value, list) and all(type(item) is int for item in value)
    return whole and len(value) > 0


def _bool_or_count(value: Any) -> Any:
    if value is not None and not isinstance(value, int):
        raise _wrong("true, false or a number of alternatives")
    return value


class TextPart(HistoryBody):
    """A part of a message's content; an image, a sound or a file is refused."""

    type: Literal["text"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("type", "text") != "text":
            raise PydanticCustomError(
                "unsupported_content",
                "must be of type 'text', the only one supported; got {kind}",
                {"kind": repr(value["type"])},
            )
        return value


def _as_json_text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value or "{}"


class FunctionCallBody(HistoryBody):
    """The function of a call that the assistant made. ``arguments`` may be an object, or empty."""

    name: str
    arguments: Annotated[
        str, BeforeValidator(_as_json_text, json_schema_input_type=str | dict[str, Any] | None)
    ] = "{}"


class ToolCallBody(HistoryBody):
    """A call that the assistant made earlier in the conversation."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCallBody


class MessageBody(HistoryBody):
    """A message; clients may send back what they were given, empty fields and all.

    ``prefix`` is Mistral's: the last assistant message is to be continued. What the assistant wrote
    before its answer is ``reasoning_content``, or ``reasoning`` as newer servers call it.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[
        list[TextPart] | None,
        BeforeValidator(_as_parts, json_schema_input_type=str | list[TextPart] | None),
    ] = None
    name: str | None = None
    tool_calls: list[ToolCallBody] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCallBody | None = None
    refusal: str | None = None
    prefix: bool | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class FunctionBody(Body):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolBody(Body):
    """A tool: a function, the only kind supported."""

    type: Literal["function"]
    function: FunctionBody


class NamedFunction(Body):
    """A function by its name."""

    name: str


class NamedTool(Body):
    """A tool by its name."""

    type: Literal["function"]
    function: NamedFunction


class AllowedTools(Body):
    """A subset of the tools."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool]


class AllowedChoice(Body):
    """A tool choice among a subset of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


class JsonSchemaBody(Body):
    """A named schema."""

    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] = Field(default={}, alias="schema")
    strict: bool | None = None


class ResponseFormatBody(Body):
    """The format of the answer. ``schema`` beside ``json_object`` is Together's, and so is the type
    ``regex`` with its ``pattern``.
    """

    type: Literal["text", "json_object", "json_schema", "regex"]
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    json_schema: JsonSchemaBody | None = None
    pattern: str | None = None


def _as_schema(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise _wrong("a JSON schema, as an object or as its text") from None


Schema = Annotated[dict[str, Any] | None, BeforeValidator(_as_schema)]


class StructuredOutputsBody(Body):
    """vLLM's ``structured_outputs``: one of the formats. White space is fixed and nothing falls
    back to another engine here, so that the last two ask for nothing.
    """

    json_: Schema = Field(default=None, alias="json")
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    disable_any_whitespace: bool | None = None
    disable_fallback: bool | None = None


class StreamOptions(Body):
    """Options of a streamed answer. ``continuous_usage_stats`` is vLLM's: usage in each chunk."""

    include_usage: bool = False
    include_obfuscation: bool = False  # padding against eavesdroppers; none is sent
    continuous_usage_stats: bool = False


class SamplingBody(Body):
    """Fields of both endpoints. None: not given, so the model's default holds."""

    model: str
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    stop: Annotated[list[str], ONE_OR_MANY] | None = None
    seed: int | None = None
    random_seed: int | None = None  # Mistral's name
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Together's: what a max_tokens beyond the context does.
    context_length_exceeded_behavior: Literal["truncate", "error"] | None = None
    response_format: ResponseFormatBody | None = None
    # vLLM's, as are the following.
    min_tokens: int | None = None
    ignore_eos: bool | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool | None = None
    structured_outputs: StructuredOutputsBody | None = None
    guided_json: Schema = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None


class ChatBody(SamplingBody):
    """``POST /v1/chat/completions``."""

    unsupported: ClassVar[UnsupportedParameters] = CHAT

    messages: list[MessageBody]
    max_completion_tokens: int | None = None
    logprobs: Annotated[bool | int | None, BeforeValidator(_bool_or_count)] = None
    top_logprobs: int | None = None
    tools: list[ToolBody] | None = None
    tool_choice: Literal["auto", "none", "required", "any"] | NamedTool | AllowedChoice | None = (
        None
    )
    parallel_tool_calls: bool | None = None
    functions: list[FunctionBody] | None = None
    function_call: Literal["auto", "none"] | NamedFunction | None = None
    store: bool | None = None
    metadata: Labels = None
    safe_prompt: bool | None = None  # Mistral's
    reasoning_effort: str | None = None
    # vLLM's, as are the following.
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None


class CompletionBody(SamplingBody):
    """``POST /v1/completions``."""

    unsupported: ClassVar[UnsupportedParameters] = COMPLETION

    prompt: Annotated[list[Prompt], PlainValidator(_as_prompts, json_schema_input_type=PromptInput)]
    echo: bool | None = None
    logprobs: int | None = None
