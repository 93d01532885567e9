"""Inside a token: how likely each token of an answer was and what else could have stood there, an
answer that goes on with another token, the prompt as the model is given it, a text's perplexity.

    scored = await score_answer(backend, request, "Rome is the capital.")
    async for event in fork(backend, request, "Rome is the capital.", Fork(1, 2021)): ...

Works on token ids, so that nothing is tokenized differently than it was. Needs a backend that shows
its tokenizer. Knows no page and no HTTP.
"""

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from playground.errors import InvalidRequest
from playground.protocol import (
    Backend,
    Delta,
    Finished,
    Message,
    Request,
    Sampling,
    StreamEvent,
    Timings,
    TokenizerHost,
    TokenLogprob,
    Usage,
    collect,
    new_request_id,
    require_model,
)

ALTERNATIVES = 5
INCOMPLETE = "\ufffd"
CONTROL = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]|<\|[^|]+\|>")


@dataclass(frozen=True, slots=True)
class Scored:
    """Tokens with their log-probabilities and likely alternatives, in their order."""

    tokens: tuple[TokenLogprob, ...]

    @property
    def counted(self) -> tuple[TokenLogprob, ...]:
        """Those that have a probability: the first token of a prompt has none."""
        return tuple(token for token in self.tokens if not math.isnan(token.logprob))

    @property
    def perplexity(self) -> float | None:
        """The exponential of the mean negative log-probability; None without a counted token."""
        counted = self.counted
        if not counted:
            return None
        return math.exp(-sum(token.logprob for token in counted) / len(counted))

    @property
    def bits_per_byte(self) -> float | None:
        """Bits of information for each byte of text, which does not depend on the tokenizer."""
        counted = self.counted
        size = sum(len(token.utf8) for token in counted)
        if not size:
            return None
        return -sum(token.logprob for token in counted) / math.log(2) / size


@dataclass(frozen=True, slots=True)
class Fork:
    """Another token (``token_id``) in place of the answer's token number ``position``, from 0."""

    position: int
    token_id: int


@dataclass(frozen=True, slots=True)
class PromptToken:
    """A token of a prompt; ``control`` is one that no text can write. Tokens that make a character
    only together are shown as one, of ``count`` tokens."""

    ids: tuple[int, ...]
    text: str
    control: bool = False


@dataclass(frozen=True, slots=True)
class PromptPart:
    """Tokens that a part of the request takes: a message, the tools, or the template around."""

    name: str
    tokens: int


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as the model is given it, with its tokens by part."""

    tokens: tuple[PromptToken, ...]
    parts: tuple[PromptPart, ...]
    count: int
    context_length: int
    max_tokens: int | None = None

    @property
    def room(self) -> int:
        """Tokens that are left for the answer; negative where the prompt is too long."""
        return self.context_length - self.count

    @property
    def cut(self) -> str:
        """What the context length cuts, in words; empty if nothing."""
        return what_is_cut(self.count, self.context_length, self.max_tokens)


def what_is_cut(used: int, context_length: int, max_tokens: int | None = None) -> str:
    """Return what the context length cuts of a conversation of so many tokens, or of its next
    answer; empty if nothing. Messages are never dropped to make room."""
    room = context_length - used
    if room < 1:
        over = 1 - room
        plural = "" if over == 1 else "s"
        return f"{over:,} token{plural} too long: it is refused until it is shorter"
    if max_tokens is not None and max_tokens > room:
        return f"the answer is cut after {room:,} tokens, before max tokens ({max_tokens:,})"
    return ""


async def score_text(
    backend: Backend, model: str, text: str, alternatives: int = ALTERNATIVES
) -> Scored:
    """Score a text by itself, without a chat template. Raises `InvalidRequest`."""
    if not text.strip():
        raise InvalidRequest("text", "is empty")
    info = require_model(await backend.models(), model)
    return Scored(await _scores(backend, Request(info.name, prompt=text), alternatives))


async def score_answer(
    backend: Backend, request: Request, answer: str, alternatives: int = ALTERNATIVES
) -> Scored:
    """Score a text as the answer to a request's messages, its end token included.

    Raises `InvalidRequest`, also if the backend does not show its tokenizer.
    """
    if not answer:
        raise InvalidRequest("answer", "is empty")
    host = tokenizer_of(backend)
    prompt, said = await _ids(host, request, answer)
    asked = Request(request.model, prompt=(*prompt, *said), adapter_hash=request.adapter_hash)
    return Scored((await _scores(backend, asked, alternatives))[-len(said) :])


async def fork(
    backend: Backend, request: Request, answer: str, chosen: Fork
) -> AsyncGenerator[StreamEvent, None]:
    """Stream the answer again: as it was before a token, then the chosen token, then as the model
    goes on. Closing the generator cancels the request.

    Raises `InvalidRequest` for a position outside of the answer, and for a token that is only a
    part of a character.
    """
    host = tokenizer_of(backend)
    prompt, said = await _ids(host, request, answer)
    if not 0 <= chosen.position < len(said):
        raise InvalidRequest("position", f"{chosen.position} is not between 0 and {len(said) - 1}")
    kept = [*said[: chosen.position], chosen.token_id]
    ends = _shown(host, kept[-1:])[0].control
    prefix = host.decode(kept[:-1] if ends else kept)
    if prefix.endswith(INCOMPLETE):
        raise InvalidRequest("token_id", "stands for a part of a character only; take another")
    yield Delta(text=prefix)
    if ends:
        usage = Usage(len(prompt), len(kept))
        yield Finished("stop", usage, Timings(0.0, 0.0, 0.0))
        return
    asked = replace(
        request,
        id=request.id or new_request_id(),
        messages=(),
        prompt=(*prompt, *kept),
        tools=(),
        response_format=None,
        continue_final=False,
    )
    async with aclosing(backend.stream(asked)) as events:
        async for event in events:
            yield event


async def rendered_prompt(backend: Backend, request: Request) -> RenderedPrompt:
    """Return the prompt as the model is given it. Raises `InvalidRequest`."""
    host = tokenizer_of(backend)
    info = require_model(await backend.models(), request.model)
    ids = await host.tokenize(request)
    tokens = await asyncio.to_thread(_shown, host, ids)
    parts = [
        PromptPart(name, len(await asyncio.to_thread(host.encode_plain, message.content)))
        for name, message in _named(request.messages)
        if message.content
    ]
    if request.tools:
        without = await host.tokenize(replace(request, tools=()))
        parts.append(PromptPart("tools", len(ids) - len(without)))
    rest = len(ids) - sum(part.tokens for part in parts)
    if request.messages:
        parts.append(PromptPart("template", max(rest, 0)))
    return RenderedPrompt(
        tokens, tuple(parts), len(ids), info.context_length, request.sampling.max_tokens
    )


def tokenizer_of(backend: Backend) -> TokenizerHost:
    """Return the backend as one that shows its tokenizer. Raises `InvalidRequest`."""
    if not isinstance(backend, TokenizerHost):
        raise InvalidRequest("model", "its backend does not show its tokenizer")
    return backend


async def _ids(host: TokenizerHost, request: Request, answer: str) -> tuple[list[int], list[int]]:
    return await host.tokenize(request), await host.tokenize_answer(request, answer)


async def _scores(
    backend: Backend, request: Request, alternatives: int
) -> tuple[TokenLogprob, ...]:
    sampling = Sampling(temperature=0.0, max_tokens=0, prompt_logprobs=alternatives)
    answer = await collect(backend.stream(replace(request, sampling=sampling)))
    return answer.prompt_logprobs


def _named(messages: Sequence[Message]) -> list[tuple[str, Message]]:
    """Messages with their roles, counted where a role speaks more than once."""
    roles = [message.role for message in messages]
    seen: dict[str, int] = {}
    named = []
    for message in messages:
        seen[message.role] = seen.get(message.role, 0) + 1
        many = roles.count(message.role) > 1
        named.append((f"{message.role} {seen[message.role]}" if many else message.role, message))
    return named


def _shown(host: TokenizerHost, ids: Sequence[int]) -> tuple[PromptToken, ...]:
    """Tokens with their text; those that make a character only together are one."""
    shown: list[PromptToken] = []
    held: list[int] = []
    for token_id in ids:
        held.append(token_id)
        text = host.decode(held)
        if text.endswith(INCOMPLETE) and len(held) < 4:
            continue
        control = len(held) == 1 and bool(CONTROL.fullmatch(text))
        control = control and host.encode_plain(text) != held
        shown.append(PromptToken(tuple(held), text, control))
        held = []
    if held:
        shown.append(PromptToken(tuple(held), host.decode(held)))
    return tuple(shown)
