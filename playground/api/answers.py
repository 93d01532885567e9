"""Whole answers on behalf of a connection, and the fields that every reply shares."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import playground
from playground.api.sse import Chunk
from playground.api.translate import ParsedRequest
from playground.protocol import (
    Answer,
    Backend,
    FinishReason,
    ModelInfo,
    Request,
    Usage,
    answer,
)


async def whole_answers(backend: Backend, requests: Sequence[Request]) -> list[Answer]:
    """Every request's answer, in order. The first error ends all of them."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(backend, request)) for request in requests]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def envelope(kind: str, prefix: str, parsed: ParsedRequest) -> dict[str, object]:
    """What every reply and every chunk of a stream begins with."""
    return {
        "id": f"{prefix}-{parsed.requests[0].id}",
        "object": kind,
        "created": int(time.time()),
        "model": parsed.info.name,
        "system_fingerprint": _fingerprint(parsed.info),
    }


@dataclass(slots=True)
class ChunkMaker:
    """Puts the pieces of a streamed reply into their envelope and adds up what they used."""

    head: dict[str, object]
    parsed: ParsedRequest
    usages: dict[int, Usage] = field(default_factory=dict)

    def chunk(self, index: int, **choice: object) -> Chunk:
        """A piece of one choice. ``usage`` is null until the last chunk, where it was asked for."""
        shape = {"index": index, "logprobs": None, "finish_reason": None} | choice
        usage: Chunk = {"usage": None} if self.parsed.include_usage else {}
        return self.head | {"choices": [shape]} | usage

    def note_usage(self, index: int, usage: Usage) -> None:
        """Remember what a finished choice used."""
        self.usages[index] = usage

    def last_chunks(self) -> list[Chunk]:
        """The chunk that says what all choices used together, if it was asked for."""
        if not self.parsed.include_usage:
            return []
        usages = [self.usages[index] for index in sorted(self.usages)]
        return [self.head | {"choices": [], "usage": total_usage(usages, self.parsed.n)}]


Finish = Literal["stop", "length", "tool_calls", "function_call"]


def finish(reason: FinishReason | None, *, legacy: bool = False) -> Finish | None:
    """OpenAI's word: one that another face cancelled has simply stopped. ``legacy``: the client
    gave ``functions``.
    """
    if reason == "tool_calls" and legacy:
        return "function_call"
    return "stop" if reason == "cancelled" else reason


def total_usage(usages: Sequence[Usage], n: int) -> dict[str, object]:
    """Tokens of all answers, in the order of their requests; a prompt counts once for its ``n``."""
    prompts = usages[::n]
    prompt_tokens = sum(usage.prompt_tokens for usage in prompts)
    completion_tokens = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": sum(usage.cached_tokens for usage in prompts)},
    }


def _fingerprint(info: ModelInfo) -> str:
    """Changes when a seed may stop giving the same answer: other code, other model."""
    served = f"{playground.__version__} {info.name} {info.context_length} {info.created}"
    return "fp_" + hashlib.sha256(served.encode()).hexdigest()[:10]
