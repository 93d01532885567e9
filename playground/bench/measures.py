"""One measure of the engine a function: tokens a second, seconds to the first token.

Prompts are random token ids, new ones each time, so that no prefix is found that is not meant to.
"""

import asyncio
import random
import time
from collections.abc import Sequence

from playground.engine import Engine
from playground.protocol import Request, Sampling

FIRST_ID, LAST_ID = 300, 3500


class Prompts:
    """A seeded source of random prompts."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def one(self, tokens: int) -> tuple[int, ...]:
        """A prompt of so many tokens."""
        return tuple(self._rng.randint(FIRST_ID, LAST_ID) for _ in range(tokens))

    def many(self, count: int, tokens: int) -> list[tuple[int, ...]]:
        """So many of them."""
        return [self.one(tokens) for _ in range(count)]

    def mixed(self, count: int) -> list[tuple[tuple[int, ...], int]]:
        """Prompts of 16 to 384 tokens, each with the 8 to 128 tokens that are wanted after it."""
        lengths = [(self._rng.randint(16, 384), self._rng.randint(8, 128)) for _ in range(count)]
        return [(self.one(prompt), new) for prompt, new in lengths]


def request(model: str, prompt: tuple[int, ...], new_tokens: int) -> Request:
    """Greedy, for so many tokens."""
    return Request(model, prompt=prompt, sampling=Sampling(temperature=0.0, max_tokens=new_tokens))


async def answer_tokens(engine: Engine, asked: Request) -> tuple[int, float]:
    """Tokens of the answer, and seconds to the first."""
    async for event in engine.stream(asked):
        if event.usage and event.timings:
            return event.usage.completion_tokens, event.timings.first_token_s
    raise AssertionError("a stream ends with its usage")


def throughput(engine: Engine, requests: Sequence[Request]) -> float:
    """Generated tokens a second, prefill included, all requests at once."""

    async def all_of_them() -> list[tuple[int, float]]:
        return list(await asyncio.gather(*(answer_tokens(engine, each) for each in requests)))

    began = time.perf_counter()
    answers = asyncio.run(all_of_them())
    return sum(tokens for tokens, _ in answers) / (time.perf_counter() - began)


def first_token(engine: Engine, asked: Request) -> float:
    """Seconds from the request to its first token."""
    return asyncio.run(answer_tokens(engine, asked))[1]


def turns(engine: Engine, model: str, prompts: Prompts, count: int = 10) -> tuple[float, float]:
    """Seconds to the first token of a chat's last turn: as it goes on, and as if it were new.

    Each turn adds 60 tokens of the user's and has 64 tokens of answer.
    """
    history = prompts.one(200)
    for _ in range(count - 1):
        asked = request(model, history, 64)
        answered = asyncio.run(_answer_ids(engine, asked))
        history = (*history, *answered, *prompts.one(60))
    warm = first_token(engine, request(model, history, 1))
    cold = first_token(engine, request(model, prompts.one(len(history)), 1))
    return warm, cold


async def _answer_ids(engine: Engine, asked: Request) -> tuple[int, ...]:
    scored = Request(
        asked.model,
        prompt=asked.prompt,
        sampling=Sampling(temperature=0.0, max_tokens=asked.sampling.max_tokens, logprobs=0),
    )
    ids: list[int] = []
    async for event in engine.stream(scored):
        ids += [token.token_id for token in event.logprobs]
    return tuple(ids)
