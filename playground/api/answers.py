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
    Finished,
    FinishReason,
    ModelInfo,
    Request,
    StreamEvent,
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
    """Fields shared by every reply and every chunk of a stream."""
    return {
        "id": f"{prefix}-{parsed.requests[0].id}",
        "object": kind,
        "created": int(time.time()),
        "model": parsed.info.name,
        "system_fingerprint": fingerprint(parsed.info),
    }


@dataclass(slots=True)
class ChunkMaker:
    """Wraps the pieces of a streamed reply in their envelope and adds up usage."""

    head: dict[str, object]
    parsed: ParsedRequest
    usages: dict[int, Usage] = field(default_factory=dict)
    progress: dict[int, Usage] = field(default_factory=dict)

    def note(self, index: int, event: StreamEvent) -> None:
        """Record the usage that an event tells, before its chunks are made."""
        if event.usage is not None:
            self.progress[index] = event.usage
        if isinstance(event, Finished):
            self.usages[index] = event.usage

    def chunk(self, index: int, **choice: object) -> Chunk:
        """A piece of one choice. ``usage``, where it was asked for, is null until the last chunk,
        or that choice's so far.
        """
        shape = {"index": index, "logprobs": None, "finish_reason": None} | choice
        usage: Chunk = {"usage": None} if self.parsed.include_usage else {}
        if self.parsed.continuous_usage and index in self.progress:
            usage = {"usage": total_usage([self.progress[index]], 1)}
        return self.head | {"choices": [shape]} | usage

    def all_usage(self) -> dict[str, object]:
        """The usage of the choices that have ended."""
        usages = [self.usages[index] for index in sorted(self.usages)]
        return total_usage(usages, self.parsed.n)

    def last_chunks(self) -> list[Chunk]:
        """The chunk with the usage of all choices, if it was asked for."""
        if not self.parsed.include_usage:
            return []
        return [self.head | {"choices": [], "usage": self.all_usage()}]


Finish = Literal["stop", "length", "tool_calls", "function_call"]


def finish(reason: FinishReason | None, *, legacy: bool = False) -> Finish | None:
    """OpenAI's finish reason; a cancelled answer counts as stopped. ``legacy``: the client
    gave ``functions``.
    """
    if reason == "tool_calls" and legacy:
        return "function_call"
    return "stop" if reason == "cancelled" else reason


def extensions(end: Answer | Finished) -> dict[str, object]:
    """Fields of ours, each where there is something to say: the guarantee that held, whether the
    token limit closed the answer, the limit that held where the one asked for was beyond the
    context, whether the schema was put into the prompt, and how often the answer was asked for.
    """
    tries = end.tries if isinstance(end, Answer) else 1
    fields: dict[str, object] = {
        "x_guarantee": end.guarantee,
        "x_closed_early": end.closed_early,
        "x_max_tokens": end.fitted_max_tokens,
        "x_schema_in_prompt": end.schema_in_prompt,
        "x_tries": tries if tries > 1 else None,
    }
    return {name: value for name, value in fields.items() if value}


def total_usage(usages: Sequence[Usage], n: int) -> dict[str, object]:
    """Usage of all answers, in the order of their requests; a prompt counts once for its ``n``, and
    again for each further try of an answer.
    """
    prompts = [*usages[::n], *(usage.retried for usage in _others(usages, n) if usage.retried)]
    prompt_tokens = sum(usage.prompt_tokens for usage in prompts)
    completion_tokens = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": sum(usage.cached_tokens for usage in prompts)},
    }


def fingerprint(info: ModelInfo) -> str:
    """A fingerprint that changes when a seed may no longer give the same answer, and else never."""
    made_by = info.provenance
    served = (
        playground.__version__,
        made_by.base_hash or info.name,
        made_by.quantization,
        made_by.adapter_hash,
        str(info.context_length),
    )
    return "fp_" + hashlib.sha256(" ".join(served).encode()).hexdigest()[:10]


def _others(usages: Sequence[Usage], n: int) -> list[Usage]:
    """All but the first answer of each prompt."""
    return [usage for index, usage in enumerate(usages) if index % n]
