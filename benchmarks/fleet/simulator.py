"""Users, a router and engines, simulated: who waits how long, and what the engines do meanwhile.

A user asks, reads, thinks, and asks again, ``turns`` times in a conversation; each turn's prompt is
all that was said. An engine works as the playground's: in steps, with as many rows as its batch
holds, prompts in chunks beside the decoded rows, keys and values kept for the next turn. The router
is that of `playground.backends.openai_compatible.replicas`, or chooses by chance. Knows no hardware
(`costs`).
"""

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import simpy

from benchmarks.fleet.costs import EngineCosts

Policy = Literal["affinity", "least work", "random"]
LOAD_FACTOR, SLACK_TOKENS = 1.25, 2048
Events = Generator[simpy.Event, object, None]
Chance = Callable[[int], random.Random]
"""Where a user's lengths and pauses are drawn from."""


@dataclass(frozen=True, slots=True)
class Load:
    """What users do. Means of exponential (thinking) and lognormal (lengths) distributions."""

    users: int
    think_s: float = 30.0
    prompt_tokens: float = 120.0
    answer_tokens: float = 250.0
    spread: float = 0.8
    """Standard deviation of the logarithm of lengths."""
    turns: int = 4
    system_tokens: int = 200
    adapters: int = 0
    """Adapters that users have; the n-th most popular is asked 1/n as often as the first."""


@dataclass(slots=True)
class Asked:
    """A request: tokens of the whole prompt, of those known from the turn before, and to write."""

    user: int
    prompt: int
    known: int
    answer: int
    adapter: int
    conversation: int
    asked_at: float
    done: simpy.Event
    left: int = 0
    written: int = 0
    first_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    engine: int = -1

    @property
    def work(self) -> int:
        """Tokens, as the router estimates them."""
        return self.prompt + min(self.answer, 256)


@dataclass(slots=True)
class Engine:
    """One engine: requests that wait and run, what its caches hold, seconds that it worked."""

    costs: EngineCosts
    waiting: list[Asked] = field(default_factory=list)
    running: list[Asked] = field(default_factory=list)
    kept: OrderedDict[int, int] = field(default_factory=OrderedDict)
    """Tokens of each conversation in the prefix cache, the oldest first."""
    adapters: OrderedDict[int, None] = field(default_factory=OrderedDict)
    wake: simpy.Event | None = None
    busy_s: float = 0.0
    row_s: float = 0.0
    """Seconds of work times the rows that were decoded in them."""
    work: int = 0

    def used_tokens(self) -> int:
        """Tokens of the KV cache that running requests need."""
        return sum(each.prompt + each.answer for each in self.running)

    def remember(self, conversation: int, tokens: int) -> None:
        """Keep a conversation's keys and values as long as there is room."""
        self.kept[conversation] = tokens
        self.kept.move_to_end(conversation)
        room = max(0, self.costs.kv_tokens - self.used_tokens())
        while self.kept and sum(self.kept.values()) > room:
            self.kept.popitem(last=False)


def own_chance(seed: int) -> Chance:
    """Let each user draw from a source of its own, so that it asks the same wherever it asks."""
    return lambda user: random.Random(f"{seed} {user}")


def drawn_length(rng: random.Random, mean: float, spread: float) -> int:
    """A length in tokens, lognormal, at least 1 and at most ten times the mean."""
    middle = math.log(mean) - spread * spread / 2
    drawn = rng.lognormvariate(middle, spread) if spread else mean
    return max(1, min(round(10 * mean), round(drawn)))


class Fleet:
    """Engines behind a router, and users before it."""

    def __init__(
        self,
        costs: EngineCosts,
        engines: int,
        load: Load,
        policy: Policy = "affinity",
        seed: int = 0,
        chance: Chance | None = None,
    ) -> None:
        self.env = simpy.Environment()
        self.engines = [Engine(costs) for _ in range(engines)]
        self.finished: list[Asked] = []
        self._load = load
        self._policy = policy
        self._rng = random.Random(seed)
        self._chance = chance or (lambda _user: self._rng)
        self._homes: dict[int, int] = {}
        self._conversations = 0
        self._popularity = [1 / rank for rank in range(1, load.adapters + 1)]

    def run(self, seconds: float) -> None:
        """Simulate so long, from the moment when the first users come."""
        for engine in self.engines:
            self.env.process(self._work(engine))
        for user in range(self._load.users):
            self.env.process(self._use(user))
        self.env.run(until=seconds)

    def _use(self, user: int) -> Events:
        load, rng = self._load, self._chance(user)
        adapter = -1
        if load.adapters:
            adapter = rng.choices(range(load.adapters), self._popularity)[0]
        yield self.env.timeout(rng.uniform(0, load.think_s))
        while True:
            self._conversations += 1
            conversation, said = self._conversations, load.system_tokens
            for _ in range(load.turns):
                prompt = said + drawn_length(rng, load.prompt_tokens, load.spread)
                answer = drawn_length(rng, load.answer_tokens, load.spread)
                asked = Asked(
                    user, prompt, said, answer, adapter, conversation, self.env.now,
                    self.env.event(),
                )  # fmt: skip
                if self.engines[0].costs.path_s:
                    yield self.env.timeout(self.engines[0].costs.path_s)
                self._send(asked)
                yield asked.done
                said = prompt + answer
                yield self.env.timeout(rng.expovariate(1 / load.think_s) if load.think_s else 0)

    def _send(self, asked: Asked) -> None:
        place = self._choose(asked)
        engine = self.engines[place]
        self._homes[asked.conversation] = asked.engine = place
        engine.waiting.append(asked)
        engine.work += asked.work
        if engine.wake and not engine.wake.triggered:
            engine.wake.succeed()

    def _choose(self, asked: Asked) -> int:
        places = range(len(self.engines))
        if self._policy == "random":
            return self._rng.randrange(len(self.engines))
        home = self._homes.get(asked.conversation)
        mean = sum(each.work for each in self.engines) / len(self.engines)
        fair = LOAD_FACTOR * mean + SLACK_TOKENS
        if self._policy == "affinity" and home is not None and self.engines[home].work <= fair:
            return home
        return min(places, key=lambda place: (self.engines[place].work, self._rng.random()))

    def _work(self, engine: Engine) -> Events:
        env, costs = self.env, engine.costs
        paused_s = 0.0
        while True:
            seconds = self._admit(engine) + paused_s
            if not engine.running:
                engine.wake, paused_s = env.event(), costs.wake_s
                yield engine.wake
                continue
            paused_s = 0.0
            decoding = [each for each in engine.running if not each.left]
            budget = costs.step_tokens - len(decoding)
            chunks: list[tuple[Asked, int]] = []
            for each in engine.running:
                if each.left and budget > 0:
                    chunks.append((each, min(each.left, budget)))
                    budget -= chunks[-1][1]
            context = sum(each.prompt + each.written for each in decoding)
            prompts = sum(tokens for _, tokens in chunks)
            seconds += costs.step_s(len(decoding), context, prompts)
            seconds += self._noise(costs, seconds)
            yield env.timeout(seconds)
            engine.busy_s += seconds
            engine.row_s += seconds * len(decoding)
            ended = [each for each, tokens in chunks if self._computed(each, tokens)]
            for each in (*decoding, *ended):
                self._wrote(engine, each)

    def _noise(self, costs: EngineCosts, seconds: float) -> float:
        """Draw by how much a step takes longer: once for each ``noise_s`` seconds of it."""
        if not costs.noise:
            return 0.0
        times = math.floor(seconds / costs.noise_s + self._rng.random())
        return max(-seconds, sum(self._rng.choices(costs.noise, k=times)))

    def _admit(self, engine: Engine) -> float:
        """Let waiting requests in; return the seconds that it takes, with loading adapters."""
        costs, seconds = engine.costs, 0.0
        used = engine.used_tokens()
        while engine.waiting and len(engine.running) < costs.max_sequences:
            asked = engine.waiting[0]
            if engine.running and used + asked.prompt + asked.answer > costs.kv_tokens:
                break
            engine.waiting.pop(0)
            seconds += costs.request_s
            shared = self._load.system_tokens if engine.busy_s else 0
            kept = engine.kept.pop(asked.conversation, shared)
            asked.left = max(1, asked.prompt - min(kept, asked.known))
            asked.started_at = self.env.now
            engine.running.append(asked)
            used += asked.prompt + asked.answer
            if asked.adapter >= 0 and asked.adapter not in engine.adapters:
                seconds += costs.adapter_s
                if len(engine.adapters) >= costs.max_adapters:
                    engine.adapters.popitem(last=False)
            if asked.adapter >= 0:
                engine.adapters[asked.adapter] = None
                engine.adapters.move_to_end(asked.adapter)
        return seconds

    @staticmethod
    def _computed(asked: Asked, tokens: int) -> bool:
        """Note that so many tokens of the prompt are done; whether all are."""
        asked.left -= tokens
        return not asked.left

    def _wrote(self, engine: Engine, asked: Asked) -> None:
        """Note a written token."""
        asked.written += 1
        asked.first_at = asked.first_at or self.env.now
        if asked.written < asked.answer:
            return
        asked.finished_at = self.env.now
        engine.running.remove(asked)
        engine.work -= asked.work
        engine.remember(asked.conversation, asked.prompt + asked.answer)
        self.finished.append(asked)
        asked.done.succeed()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation showed. Seconds; tokens written a second, of all engines together; ``rows``
    is how many are decoded at once in an engine that works."""

    requests: int
    tokens_per_second: float
    first_token_p50_s: float
    first_token_p95_s: float
    latency_mean_s: float
    waited_p95_s: float
    token_s: float
    rows: float


def simulate(
    costs: EngineCosts,
    engines: int,
    load: Load,
    seconds: float,
    policy: Policy = "affinity",
    seed: int = 0,
    chance: Chance | None = None,
) -> Outcome:
    """Simulate ``seconds`` after a fifth of them, in which it fills; without a ``chance`` all users
    draw from one source. Raises `ValueError` if nothing is finished by then."""
    fleet = Fleet(costs, engines, load, policy, seed, chance)
    warm = seconds / 5
    fleet.run(warm + seconds)
    asked = [each for each in fleet.finished if each.finished_at >= warm]
    if not asked:
        raise ValueError(f"no answer ends within {seconds:g} s")
    firsts = [each.first_at - each.asked_at for each in asked]
    written = [
        (each.finished_at - each.first_at) / (each.answer - 1) for each in asked if each.answer > 1
    ]
    return Outcome(
        requests=len(asked),
        tokens_per_second=sum(each.answer for each in asked) / seconds,
        first_token_p50_s=quantile(firsts, 0.5),
        first_token_p95_s=quantile(firsts, 0.95),
        latency_mean_s=sum(each.finished_at - each.asked_at for each in asked) / len(asked),
        waited_p95_s=quantile([each.started_at - each.asked_at for each in asked], 0.95),
        token_s=sum(written) / max(1, len(written)),
        rows=sum(each.row_s for each in fleet.engines) / sum(each.busy_s for each in fleet.engines),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def smallest_fleet(
    costs: EngineCosts, load: Load, seconds: float, first_token_s: float, most: int = 4096
) -> tuple[int, Outcome]:
    """The fewest engines whose 95th percentile of the time to the first token is at most
    ``first_token_s``. Raises `ValueError` if ``most`` do not reach it."""
    low, high = 0, 1
    found: Outcome | None = None
    while high <= most:
        found = simulate(costs, high, load, seconds)
        if found.first_token_p95_s <= first_token_s:
            break
        low, high = high, high * 2
    else:
        raise ValueError(f"{most} engines do not reach {first_token_s:g} s")
    best = found
    while high - low > 1:
        middle = (low + high) // 2
        tried = simulate(costs, middle, load, seconds)
        if tried.first_token_p95_s <= first_token_s:
            high, best = middle, tried
        else:
            low = middle
    return high, best


def most_users(
    costs: EngineCosts, engines: int, load: Load, seconds: float, first_token_s: float
) -> tuple[int, Outcome]:
    """The most users, in steps of eight an engine, for whom so many engines reach the 95th
    percentile of ``first_token_s``. Raises `ValueError` if they do not for eight each."""
    step = 8 * engines

    def tried(steps: int) -> Outcome | None:
        found = simulate(costs, engines, replace(load, users=steps * step), seconds)
        return found if found.first_token_p95_s <= first_token_s else None

    low, best, high = 0, None, 1
    while (found := tried(high)) is not None:
        low, best, high = high, found, high * 2
    if best is None:
        raise ValueError(f"{engines} engines do not reach {first_token_s:g} s for {step} users")
    while high - low > 1:
        middle = (low + high) // 2
        found = tried(middle)
        low, best, high = (middle, found, high) if found else (low, best, middle)
    return low * step, best
