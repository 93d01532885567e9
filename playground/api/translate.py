"""From the bodies of requests to the `Request` that all floors share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from playground.api.conversation import messages_of
from playground.api.schemas import ChatBody, CompletionBody, Prompt, SamplingBody
from playground.api.structured import response_format_of, tool_choice_of, tools_of
from playground.errors import InvalidRequest
from playground.protocol import Backend, ModelInfo, Request, Sampling, choices, require_model
from playground.protocol.json_types import JsonObject

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
)


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A client's request in our terms.

    ``requests`` holds ``n`` for each prompt, in order; an answer's index is its place there.
    """

    info: ModelInfo
    requests: tuple[Request, ...]
    n: int = 1
    stream: bool = False
    include_usage: bool = False


def parse_body(kind: type[AnyBody], body: JsonObject) -> AnyBody:
    """Check a body's form. Raises `Refused` or pydantic's `ValidationError`."""
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
    request = Request(
        model=info.name,
        messages=messages_of(body.messages),
        tools=tools_of(body),
        tool_choice=tool_choice_of(body),
        response_format=response_format_of(body.response_format),
        sampling=sampling,
    )
    return _parsed(body, info, [request])


async def completion_requests(body: CompletionBody, backend: Backend) -> ParsedRequest:
    """The requests of a text completion. Raises `InvalidRequest` or `UnknownModel`."""
    info = await model_info(body.model, backend)
    limit = COMPLETION_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    sampling = _sampling(
        body,
        info,
        {"max_tokens": ("max_tokens", limit), "logprobs": ("logprobs", body.logprobs)},
    )
    prompts: Sequence[Prompt] = body.prompt
    if body.echo and body.logprobs is not None:
        raise InvalidRequest("logprobs", "the prompt's own are not computed; leave out echo")
    if body.echo and not isinstance(prompts[0], str):
        raise InvalidRequest("echo", "only a prompt given as text is repeated")
    requests = [Request(model=info.name, prompt=prompt, sampling=sampling) for prompt in prompts]
    return _parsed(body, info, requests)


async def model_info(name: str, backend: Backend) -> ModelInfo:
    """The served model of that name. Raises `UnknownModel`."""
    return require_model(await backend.models(), name)


def _parsed(body: SamplingBody, info: ModelInfo, requests: Sequence[Request]) -> ParsedRequest:
    n = 1 if body.n is None else body.n
    if body.stream_options and not body.stream:
        raise InvalidRequest("stream_options", "only a streamed answer takes them; set stream")
    if n * len(requests) > MAX_ANSWERS:
        count = f"{len(requests)} prompts times n = {n}"
        raise InvalidRequest("prompt", f"{count}; {MAX_ANSWERS} answers at most")
    return ParsedRequest(
        info=info,
        requests=tuple(choice for request in requests for choice in choices(request, n)),
        n=n,
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )


def _sampling(
    body: SamplingBody, info: ModelInfo, named: dict[str, tuple[str, int | None]]
) -> Sampling:
    """The model's defaults with what the body gives; ``named`` maps the body's name of a field to
    ours and its value, so that an error names what the client wrote.
    """
    given: dict[str, object] = {name: getattr(body, name) for name in SAMPLING_FIELDS}
    given |= dict(named.values())
    given["stop"] = None if body.stop is None else tuple(body.stop)
    given["logit_bias"] = None if body.logit_bias is None else _logit_bias(body.logit_bias)
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return replace(info.defaults, **given)  # type: ignore[arg-type]
    except InvalidRequest as error:
        theirs = {ours: name for name, (ours, _) in named.items()}
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
