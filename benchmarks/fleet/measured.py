"""The simulator beside the real engine: step costs measured alone, then one load on both.

The real one is the engine in this process behind its backend, asked by as many tasks as there are
users, with the simulator's own draws of lengths and thinking.
"""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.fleet.costs import EngineCosts
from benchmarks.fleet.simulator import Load, Outcome, drawn_length, own_chance, quantile
from playground.backends.local import LocalBackend
from playground.engine import Limits
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Delta, Finished, Request, Sampling

ROUNDS, FEW_ROUNDS, MANY_ROUNDS = 3, 9, 60
PAUSE_S = 0.1
SHORT, LONG = 16, 1024
LENGTHS = (48, 176, 80, 240, 112, 208, 144)
WRITTEN = 33
WIDE = 8
ROWS_STEP, MOST_ROWS = 2, 512
"""Rows of a step are padded to a multiple, and prompts of one step have at most so many."""
FIRST_WORD = 1000  # behind control tokens and bytes


@dataclass(frozen=True, slots=True)
class Told:
    """When a request was asked, had its first token and its last, and how many it has."""

    asked_at: float
    first_at: float
    finished_at: float
    tokens: int


async def ask(backend: LocalBackend, prompt: Sequence[int], tokens: int) -> Told:
    """Have so many tokens written behind a prompt."""
    sampling = Sampling(temperature=0, max_tokens=tokens, ignore_eos=True, logprobs=0)
    request = Request(backend.default_model.name, prompt=tuple(prompt), sampling=sampling)
    asked_at, first_at, written = time.monotonic(), 0.0, 0
    async for event in backend.stream(request):
        first_at = first_at or time.monotonic()
        if isinstance(event, Finished):
            written = event.usage.completion_tokens
        elif not isinstance(event, Delta):
            raise TypeError(event)
    return Told(asked_at, first_at, time.monotonic(), written)


class Engine:
    """The real engine, with prompts that share no beginning."""

    def __init__(self, model: str) -> None:
        self.backend = LocalBackend(load(ModelSpec(model)), limits=Limits(drafts=False))
        self._vocabulary = self.backend.loaded.tokenizer.vocabulary_size
        self._rng = random.Random(0)

    def close(self) -> None:
        """End it."""
        self.backend.close()

    async def warm(self) -> None:
        """Ask as if it had run for a while: a kernel is made for each number of rows at its first
        use, and the prefix cache is searched as far as it is full."""
        for rows in range(ROWS_STEP, MOST_ROWS + 1, ROWS_STEP):
            await ask(self.backend, self.prompt(rows), 1)
        gc.collect()
        gc.freeze()  # as the server does

    def prompt(self, tokens: int) -> list[int]:
        """A prompt of so many random tokens."""
        return [self._rng.randrange(FIRST_WORD, self._vocabulary) for _ in range(tokens)]

    async def seconds(self, prompts: int, prompt: int, written: int) -> float:
        """Median seconds until so many prompts at once are answered."""
        return statistics.median(await self.times(prompts, prompt, written, ROUNDS))

    async def times(
        self, prompts: int, prompt: int, written: int, rounds: int, pause_s: float = 0.0
    ) -> list[float]:
        """Seconds until so many prompts at once are answered, each time after a pause."""
        taken = []
        for _ in range(rounds):
            await asyncio.sleep(pause_s)
            asked = [self.prompt(prompt) for _ in range(prompts)]
            began = time.monotonic()
            await asyncio.gather(*(ask(self.backend, each, written) for each in asked))
            taken.append(time.monotonic() - began)
        return taken

    async def in_turn(self, lengths: Sequence[int]) -> float:
        """Median seconds to have a token written behind prompts of these lengths, one by one."""
        taken = []
        for _ in range(ROUNDS):
            asked = list(map(self.prompt, lengths))
            began = time.monotonic()
            for prompt in asked:
                await ask(self.backend, prompt, 1)
            taken.append(time.monotonic() - began)
        return statistics.median(taken)


async def measured_costs(engine: Engine) -> EngineCosts:
    """What its steps take: answers of 33 tokens less those of one, alone, in a batch, behind a long
    prompt; prompts of many lengths less short ones; short prompts at once; one after a pause less
    one without, which shows by the way how far apart the same work's times lie."""
    await engine.seconds(WIDE, SHORT, WRITTEN)  # warm
    steps = WRITTEN - 1
    lone = await engine.times(1, SHORT, 1, MANY_ROUNDS)
    one_token = statistics.median(lone)
    paused = statistics.median(await engine.times(1, SHORT, 1, FEW_ROUNDS, PAUSE_S))
    alone = (await engine.seconds(1, SHORT, WRITTEN) - one_token) / steps
    first = await engine.seconds(WIDE, SHORT, 1)
    wide = (await engine.seconds(WIDE, SHORT, WRITTEN) - first) / steps
    mixed = await engine.in_turn(LENGTHS)
    long_first = await engine.seconds(1, LONG, 1)
    behind = (await engine.seconds(1, LONG, WRITTEN) - long_first) / steps
    context_s = max(0.0, (behind - alone) / (LONG - SHORT))
    row_s = max(0.0, (wide - alone) / (WIDE - 1) - SHORT * context_s)
    longer = sum(LENGTHS) - SHORT * len(LENGTHS)
    prompt_s = max(0.0, (mixed - one_token * len(LENGTHS)) / longer)
    base_s = max(0.0, alone - row_s - SHORT * context_s)
    request_s = max(0.0, (first - base_s) / WIDE - SHORT * prompt_s)
    path_s = max(0.0, one_token - base_s - SHORT * prompt_s - request_s)
    wake_s = max(0.0, paused - one_token)
    noise = tuple(each - one_token for each in lone)
    return EngineCosts(
        base_s, row_s, context_s, prompt_s, request_s, path_s, wake_s, noise, one_token,
        kv_tokens=10**9,
    )  # fmt: skip


def mean_of(costs: Sequence[EngineCosts]) -> EngineCosts:
    """The mean of what was measured at several times."""
    names = (
        "base_s", "row_s", "context_s", "prompt_s", "request_s", "path_s", "wake_s", "noise_s",
    )  # fmt: skip
    means = {name: statistics.mean(getattr(each, name) for each in costs) for name in names}
    noise = tuple(value for each in costs for value in each.noise)
    return replace(costs[0], noise=noise, **means)


async def put_load(engine: Engine, asked: Load, seconds: float, seed: int) -> list[Told]:
    """Put the load on the engine. Conversations have one turn: no prompt is known."""
    chance, told = own_chance(seed), list[Told]()
    warm_until = time.monotonic() + seconds / 5
    until = warm_until + seconds

    async def use(user: int) -> None:
        rng = chance(user)
        await asyncio.sleep(rng.uniform(0, asked.think_s))
        while time.monotonic() < until:
            prompt = asked.system_tokens + drawn_length(rng, asked.prompt_tokens, asked.spread)
            answer = drawn_length(rng, asked.answer_tokens, asked.spread)
            found = await ask(engine.backend, engine.prompt(prompt), answer)
            if warm_until <= found.finished_at <= until:
                told.append(found)
            await asyncio.sleep(rng.expovariate(1 / asked.think_s))

    await asyncio.gather(*map(use, range(asked.users)))
    return told


def real_outcome(told: Sequence[Told], seconds: float) -> Outcome:
    """What was seen in so many seconds, as the simulator says it."""
    firsts = [each.first_at - each.asked_at for each in told]
    latencies = [each.finished_at - each.asked_at for each in told]
    tokens = [
        (each.finished_at - each.first_at) / (each.tokens - 1) for each in told if each.tokens > 1
    ]
    return Outcome(
        requests=len(told),
        tokens_per_second=sum(each.tokens for each in told) / seconds,
        first_token_p50_s=quantile(firsts, 0.5),
        first_token_p95_s=quantile(firsts, 0.95),
        latency_mean_s=statistics.mean(latencies),
        waited_p95_s=0.0,
        token_s=statistics.mean(tokens),
        rows=0.0,
    )
