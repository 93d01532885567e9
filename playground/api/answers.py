"""Whole answers on behalf of a connection, and the fields that every reply shares."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import playground
from playground.modes.chat import Answer, answer
from playground.protocol import Backend, FinishReason, ModelInfo, Request, Usage


async def whole_answers(backend: Backend, requests: Sequence[Request]) -> list[Answer]:
    """Every request's answer, in order. The first error ends all of them."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(backend, request)) for request in requests]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def envelope(kind: str, prefix: str, request: Request, info: ModelInfo) -> dict[str, Any]:
    """What every reply and every chunk of a stream begins with."""
    return {
        "id": f"{prefix}-{request.id}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
        "system_fingerprint": _fingerprint(info),
    }


def finish(reason: FinishReason | None) -> Literal["stop", "length"] | None:
    """OpenAI's word: one that another face cancelled has simply stopped."""
    return "stop" if reason == "cancelled" else reason


def total_usage(usages: Iterable[Usage], n: int) -> dict[str, Any]:
    """Tokens of all answers, in the order of their requests; a prompt counts once for its ``n``."""
    every = list(usages)
    prompts = every[::n]
    prompt_tokens = sum(usage.prompt_tokens for usage in prompts)
    completion_tokens = sum(usage.completion_tokens for usage in every)
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
