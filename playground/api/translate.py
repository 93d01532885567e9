"""From the bodies of requests to `Request`: messages, tools, response format and sampling."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from playground.api.dialects import continues_final, guarded
from playground.api.formats import response_format
from playground.api.schemas import (
    AllowedChoice,
    ChatBody,
    CompletionBody,
    FunctionBody,
    MessageBody,
    NamedFunction,
    NamedTool,
    Prompt,
    SamplingBody,
)
from playground.errors import InvalidRequest
from playground.protocol import (
    MAX_CHOICES,
    Backend,
    Message,
    ModelInfo,
    Request,
    Role,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
    choices,
    require_model,
)
from playground.protocol.json_types import JsonObject, parse_json

AnyBody = TypeVar("AnyBody", ChatBody, CompletionBody)

MAX_ANSWERS = 128  # of one request: prompts times n
COMPLETION_MAX_TOKENS = 16  # OpenAI's documented default of /v1/completions, but not of chat

SAMPLING_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "min_tokens",
    "ignore_eos",
    "include_stop_str_in_output",
)

BETWEEN_PARTS = "\n"  # text parts of one message are its paragraphs
ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A client's body as requests of the protocol.

    ``requests`` holds ``n`` for each prompt, in order; an answer's index is its place there.
    ``spelling`` maps the protocol's names of fields to those that the client used.
    """

    info: ModelInfo
    requests: tuple[Request, ...]
    n: int = 1
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False
    spelling: Mapping[str, str] = field(default_factory=dict)


def parse_body(kind: type[AnyBody], body: JsonObject) -> AnyBody:
    """Validate a body. Raises `Refused` or pydantic's `ValidationError`."""
    return kind.model_validate(kind.unsupported.strip(body))


async def chat_requests(body: ChatBody, backend: Backend) -> ParsedRequest:
    """The requests of a chat completion. Raises `InvalidRequest` or `UnknownModel`."""
    info = await model_info(body.model, backend)
    limit, limit_name = _chat_limit(body)
    logprobs, logprobs_name = _chat_logprobs(body)
    sampling = _sampling(
        body,
        info,
        {limit_name: ("max_tokens", limit), logprobs_name: ("logprobs", logprobs)},
    )
    form = response_format(body)
    request = Request(
        model=info.name,
        messages=guarded(body, conversation(body.messages)),
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        response_format=form[1] if form else None,
        sampling=sampling,
        continue_final=continues_final(body),
        template_kwargs=body.chat_template_kwargs or {},
        reasoning_effort=body.reasoning_effort or "",
        fit_max_tokens=body.context_length_exceeded_behavior != "error",
    )
    spelling = {"max_tokens": limit_name} | _legacy_spelling(body)
    return _parsed(body, info, [request], spelling | ({"response_format": form[0]} if form else {}))


async def completion_requests(body: CompletionBody, backend: Backend) -> ParsedRequest:
    """The requests of a text completion. Raises `InvalidRequest` or `UnknownModel`."""
    info = await model_info(body.model, backend)
    limit = COMPLETION_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    prompts: Sequence[Prompt] = body.prompt
    # An echo of token ids has its text from their scores, and one without an answer is a score.
    scored = body.echo and (not isinstance(prompts[0], str) or limit == 0)
    prompt_logprobs = 0 if scored else None
    if body.echo and body.logprobs is not None:
        prompt_logprobs = body.logprobs
    sampling = _sampling(
        body,
        info,
        {
            "max_tokens": ("max_tokens", limit),
            "logprobs": ("logprobs", body.logprobs),
            "echo": ("prompt_logprobs", prompt_logprobs),
        },
    )
    form = response_format(body)
    requests = [
        Request(
            model=info.name,
            prompt=prompt,
            response_format=form[1] if form else None,
            sampling=sampling,
            fit_max_tokens=body.context_length_exceeded_behavior != "error",
        )
        for prompt in prompts
    ]
    return _parsed(body, info, requests, {"response_format": form[0]} if form else {})


async def model_info(name: str, backend: Backend) -> ModelInfo:
    """The served model of that name. Raises `UnknownModel`."""
    return require_model(await backend.models(), name)


def conversation(bodies: Sequence[MessageBody]) -> tuple[Message, ...]:
    """The conversation. Older clients give calls and results without ids (``function_call`` and the
    role ``function``): a result belongs to the call before it.
    """
    messages: list[Message] = []
    unanswered: ToolCall | None = None
    for index, body in enumerate(bodies):
        if body.role == "function":
            if unanswered is None or body.name != unanswered.name:
                raise InvalidRequest(
                    f"messages[{index}].name", f"no function_call of {body.name!r} is before it"
                )
            body = body.model_copy(update={"role": "tool", "tool_call_id": unanswered.id})
            unanswered = None
        message = _message(index, body)
        if body.function_call:
            unanswered = message.tool_calls[0]
        messages.append(message)
    return tuple(messages)


def _calls(index: int, body: MessageBody) -> tuple[ToolCall, ...]:
    calls = tuple(
        ToolCall(call.id, call.function.name, _arguments(call.function.arguments))
        for call in body.tool_calls or ()
    )
    if body.function_call is None:
        return calls
    if calls:
        raise InvalidRequest("messages.function_call", "give it or tool_calls, not both")
    older = body.function_call
    return (ToolCall(f"call{index:05}", older.name, _arguments(older.arguments)),)


def _arguments(text: str) -> str:
    """Arguments as a JSON object. Streams that the token limit cut hand out half an object, which
    comes back with the history: it is kept as the text that it is.
    """
    try:
        is_object = isinstance(parse_json(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    return text if is_object else json.dumps({"arguments": text}, ensure_ascii=False)


def _message(index: int, body: MessageBody) -> Message:
    place = f"messages[{index}]"
    if body.content is None and body.role != "assistant":
        raise InvalidRequest(f"{place}.content", "is needed, as text or a list of text parts")
    refusal = body.refusal or ""  # what the assistant said in place of an answer
    try:
        return Message(
            role=ROLES[body.role],
            content=BETWEEN_PARTS.join(part.text for part in body.content or ()) or refusal,
            tool_calls=_calls(index, body),
            tool_call_id=body.tool_call_id,
            name=body.name,
            reasoning=(body.reasoning_content or body.reasoning or "") * (body.role == "assistant"),
        )
    except InvalidRequest as error:
        field = error.field.removeprefix("messages.")
        raise InvalidRequest(f"{place}.{field}", error.problem) from error


def _tools(body: ChatBody) -> tuple[Tool, ...]:
    """The functions that the model may call. Raises `InvalidRequest`."""
    if body.tools and body.functions:
        raise InvalidRequest("functions", "give them or tools, not both")
    functions = [tool.function for tool in body.tools or ()] or (body.functions or [])
    return tuple(_tool(function) for function in functions)


def _legacy_spelling(body: ChatBody) -> dict[str, str]:
    """The names of a tool's fields for a client that gave ``functions``."""
    if not body.functions:
        return {}
    fields = {
        f"tools[{place}].function.{field}": f"functions[{place}].{field}"
        for place in range(len(body.functions))
        for field in ("name", "parameters")
    }
    return fields | {"tools": "functions", "tool_choice": "function_call"}


def _tool_choice(body: ChatBody) -> ToolChoice:
    """Which functions may or must be called."""
    if body.functions:
        wanted = body.function_call or "auto"
        if isinstance(wanted, NamedFunction):
            return ToolChoice("required", (wanted.name,), parallel=False)
        return ToolChoice(wanted, parallel=False)
    parallel = body.parallel_tool_calls is not False
    choice = body.tool_choice or "auto"
    if isinstance(choice, NamedTool):
        return ToolChoice("required", (choice.function.name,), parallel=False)
    if isinstance(choice, AllowedChoice):
        names = tuple(tool.function.name for tool in choice.allowed_tools.tools)
        return ToolChoice(choice.allowed_tools.mode, names, parallel)
    return ToolChoice("required" if choice == "any" else choice, parallel=parallel)


def _tool(body: FunctionBody) -> Tool:
    return Tool(body.name, body.description or "", body.parameters, bool(body.strict))


def _parsed(
    body: SamplingBody,
    info: ModelInfo,
    requests: Sequence[Request],
    spelling: Mapping[str, str],
) -> ParsedRequest:
    options = body.stream_options
    n = 1 if body.n is None else body.n
    if options and not body.stream:
        raise InvalidRequest("stream_options", "only a streamed answer takes them; set stream")
    if n <= MAX_CHOICES and n * len(requests) > MAX_ANSWERS:  # a larger n is refused as such
        count = f"{len(requests)} prompts times n = {n}"
        raise InvalidRequest("prompt", f"{count}; {MAX_ANSWERS} answers at most")
    return ParsedRequest(
        info=info,
        requests=tuple(choice for request in requests for choice in choices(request, n)),
        n=n,
        stream=bool(body.stream),
        include_usage=bool(options and options.include_usage),
        continuous_usage=bool(options and options.include_usage and options.continuous_usage_stats),
        spelling=spelling,
    )


def _sampling(
    body: SamplingBody, info: ModelInfo, named: dict[str, tuple[str, int | None]]
) -> Sampling:
    """The model's defaults with what the body gives; ``named`` maps the body's name of a field to
    ours and its value, so that an error names what the client wrote.
    """
    given: dict[str, object] = {name: getattr(body, name) for name in SAMPLING_FIELDS}
    given |= dict(named.values())
    if given["top_k"] == -1:  # vLLM's word for "off"
        given["top_k"] = 0
    if given["seed"] is None:
        given["seed"] = body.random_seed
    given["stop"] = None if body.stop is None else tuple(body.stop)
    given["stop_token_ids"] = None if body.stop_token_ids is None else tuple(body.stop_token_ids)
    given["logit_bias"] = None if body.logit_bias is None else _logit_bias(body.logit_bias)
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return replace(info.defaults, **given)  # type: ignore[arg-type]
    except InvalidRequest as error:
        theirs = {ours: name for name, (ours, _) in named.items()}
        if body.seed is None and body.random_seed is not None:
            theirs["seed"] = "random_seed"
        raise InvalidRequest(theirs.get(error.field, error.field), error.problem) from error


def _logit_bias(body: dict[str, float]) -> dict[int, float]:
    for key in body:
        if not (key.isascii() and key.isdecimal()):
            raise InvalidRequest("logit_bias", f"{key!r} is not a token id")
    return {int(key): bias for key, bias in body.items()}


def _chat_limit(body: ChatBody) -> tuple[int | None, str]:
    """The largest number of tokens, and which field gave it; the newer name means the same."""
    if body.max_completion_tokens is None:
        return body.max_tokens, "max_tokens"
    if body.max_tokens is not None:
        raise InvalidRequest("max_tokens", "give it or max_completion_tokens, not both")
    return body.max_completion_tokens, "max_completion_tokens"


def _chat_logprobs(body: ChatBody) -> tuple[int | None, str]:
    """How many alternatives to report, and which field said so.

    OpenAI's ``logprobs`` is a boolean with ``top_logprobs`` beside it, Together's is the number.
    """
    if body.logprobs is True:
        return body.top_logprobs or 0, "top_logprobs"
    if body.top_logprobs:
        raise InvalidRequest("top_logprobs", "logprobs must be true with it")
    return (None if body.logprobs is False else body.logprobs), "logprobs"
