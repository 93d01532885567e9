"""Measures of the engine, a function each: tokens a second, seconds to the first token.

Prompts are random token ids, new ones each time, so that no prefix is found that is not meant to.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from playground.backends.local import LocalBackend
from playground.errors import RequestFailed
from playground.protocol import Request, Sampling, collect

FIRST_ID, LAST_ID = 300, 3500
TURNS = 10
FIRST_TURN_TOKENS, ANSWER_TOKENS, LATER_TURN_TOKENS = 200, 64, 60
LAST_TURN_TOKENS = FIRST_TURN_TOKENS + (TURNS - 1) * (ANSWER_TOKENS + LATER_TURN_TOKENS)
DECODING, SWAP_TOKENS = 8, 1024


class Prompts:
    """A seeded source of random prompts."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def one(self, tokens: int) -> tuple[int, ...]:
        """A prompt of that many tokens."""
        return tuple(self._rng.randint(FIRST_ID, LAST_ID) for _ in range(tokens))

    def many(self, count: int, tokens: int) -> list[tuple[int, ...]]:
        """Several of them."""
        return [self.one(tokens) for _ in range(count)]

    def mixed(self, count: int) -> list[tuple[tuple[int, ...], int]]:
        """Prompts of 16 to 384 tokens, each with the 8 to 128 tokens that are wanted after it."""
        lengths = [(self._rng.randint(16, 384), self._rng.randint(8, 128)) for _ in range(count)]
        return [(self.one(prompt), new) for prompt, new in lengths]


def request(model: str, prompt: tuple[int, ...], new_tokens: int) -> Request:
    """A greedy request for that many tokens."""
    return Request(model, prompt=prompt, sampling=Sampling(temperature=0.0, max_tokens=new_tokens))


async def answer_tokens(engine: LocalBackend, question: Request) -> tuple[int, float]:
    """Tokens of the answer, and seconds to the first."""
    got = await collect(engine.stream(question))
    return got.usage.completion_tokens, got.timings.first_token_s


def throughput(engine: LocalBackend, requests: Sequence[Request]) -> float:
    """Generated tokens a second, prefill included, all requests at once."""

    async def all_of_them() -> list[tuple[int, float]]:
        return list(await asyncio.gather(*(answer_tokens(engine, one) for one in requests)))

    began = time.perf_counter()
    answers = asyncio.run(all_of_them())
    return sum(tokens for tokens, _ in answers) / (time.perf_counter() - began)


def first_token(engine: LocalBackend, question: Request) -> float:
    """Seconds from the request to its first token."""
    return asyncio.run(answer_tokens(engine, question))[1]


def turns(engine: LocalBackend, model: str, prompts: Prompts) -> float:
    """Seconds to the first token of a chat's last turn; its prompt has `LAST_TURN_TOKENS`."""
    history = prompts.one(FIRST_TURN_TOKENS)
    for _ in range(TURNS - 1):
        question = request(model, history, ANSWER_TOKENS)
        answered = asyncio.run(_answer_ids(engine, question))
        history = (*history, *answered, *prompts.one(LATER_TURN_TOKENS))
    return first_token(engine, request(model, history, 1))


def swap(engine: LocalBackend, folder: Path, name: str, model: str, prompts: Prompts) -> float:
    """Seconds from loading the adapter in ``folder`` under a name already served to the first
    token of an answer by it, while `DECODING` other streams of ``model`` decode.
    """
    others = [request(model, prompt, SWAP_TOKENS) for prompt in prompts.many(DECODING, 64)]
    return asyncio.run(_swap(engine, folder, request(name, prompts.one(64), 1), others))


async def _swap(
    engine: LocalBackend, folder: Path, question: Request, others: list[Request]
) -> float:
    began = [asyncio.Event() for _ in others]

    async def decode(other: Request, first: asyncio.Event) -> None:
        async for _ in engine.stream(other):
            first.set()

    streams = [asyncio.create_task(decode(*each)) for each in zip(others, began, strict=True)]
    try:
        await asyncio.gather(*(first.wait() for first in began))
        start = time.perf_counter()
        loaded = await asyncio.to_thread(engine.load_adapter, folder, question.model)
        await answer_tokens(engine, replace(question, adapter_hash=loaded.provenance.adapter_hash))
        seconds = time.perf_counter() - start
        if any(stream.done() for stream in streams):
            raise RequestFailed("the streams beside the swap ended before it did")
        return seconds
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


async def _answer_ids(engine: LocalBackend, question: Request) -> tuple[int, ...]:
    scored = Request(
        question.model,
        prompt=question.prompt,
        sampling=Sampling(temperature=0.0, max_tokens=question.sampling.max_tokens, logprobs=0),
    )
    got = await collect(engine.stream(scored))
    return tuple(token.token_id for token in got.logprobs)
