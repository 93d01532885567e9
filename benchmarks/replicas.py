"""Two servers of one model beside one: tokens a second, and what a kept conversation is worth.

    python -m benchmarks.replicas [--users 16 --seconds 20 --rounds 3]

Each server is a `playground` with the embedded model in a process of its own, on one core; the
router runs in this process, which has to share those cores if there are no others. Users hold
conversations of several turns, so that a turn's prompt is what was said before: the router sends it
where that is cached, and "by chance" anywhere. In turns; printed are the medians of the rounds.
"""

import argparse
import asyncio
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks.fleet.simulator import quantile
from playground.backends.openai_compatible.io_loop import IoLoop
from playground.backends.openai_compatible.opening import AnyRemote, remote_of
from playground.protocol import AnswerBuilder, Message, Request, Sampling
from playground.settings import BackendSettings

SERVE: Final = (
    "import os; os.sched_setaffinity(0, {{{core}}}); from playground.cli import main; main()"
)
MODEL: Final = "fleet/embedded"
TURNS, ANSWER_TOKENS, PROMPT_WORDS = 6, 24, 40
WORDS: Final = ("crate", "pier", "gate", "dock", "barge", "ledger", "tide", "rope", "harbour")


@dataclass(slots=True)
class Seen:
    """What the users of one run had: tokens, and seconds to the first token of later turns."""

    seconds: float
    tokens: int = 0
    firsts: list[float] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """Of all users."""
        return self.tokens / self.seconds

    @property
    def first_p50_s(self) -> float:
        """Half of the later turns begin sooner."""
        return quantile(self.firsts, 0.5)

    @property
    def first_p95_s(self) -> float:
        """19 of 20 later turns begin sooner."""
        return quantile(self.firsts, 0.95)


@contextmanager
def served(core: int) -> Iterator[str]:
    """A server on one core; yields its address once the model is loaded."""
    with tempfile.TemporaryDirectory() as home:
        flags = ("--home", home, "--model", "embedded", "--port", "0")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = (sys.executable, "-c", SERVE.format(core=core), *flags)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as server:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            server.stdout.readline()
            try:
                yield found.group()
            finally:
                server.terminate()


Choose = Callable[[], AnyRemote]
"""Which backend is asked next."""


def drawn_words(rng: random.Random) -> str:
    """A text that shares no beginning with others."""
    return " ".join(rng.choices(WORDS, k=PROMPT_WORDS))


async def use(choose: Choose, rng: random.Random, until: float, seen: Seen) -> None:
    """Hold one conversation after another until then."""
    sampling = Sampling(temperature=0.0, max_tokens=ANSWER_TOKENS, ignore_eos=True)
    while True:
        messages: tuple[Message, ...] = (Message("system", drawn_words(rng)),)
        for turn in range(TURNS):
            messages += (Message("user", drawn_words(rng)),)
            builder, began, first = AnswerBuilder(), time.monotonic(), 0.0
            async for event in choose().stream(Request(MODEL, messages, sampling=sampling)):
                first = first or time.monotonic() - began
                builder.add(event)
            if time.monotonic() > until:
                return
            seen.tokens += ANSWER_TOKENS
            if turn:
                seen.firsts.append(first)
            messages += (Message("assistant", builder.text),)


async def run(choose: Choose, users: int, seconds: float, seed: int) -> Seen:
    """Let so many users talk for so long."""
    seen, until = Seen(seconds), time.monotonic() + seconds
    rngs = [random.Random(f"{seed}/{user}") for user in range(users)]
    await asyncio.gather(*(use(choose, rng, until, seen) for rng in rngs))
    return seen


async def measure(urls: Sequence[str], users: int, seconds: float, rounds: int) -> None:
    """Print the three ways side by side."""
    with ExitStack() as stack:
        io = IoLoop()
        stack.callback(io.close)

        def opened(*servers: str) -> AnyRemote:
            settings = BackendSettings(alias="fleet", kind="playground", replicas=servers)
            backend = remote_of(settings, io)
            backend.start()
            stack.callback(backend.close)
            return backend

        single = [opened(url) for url in urls]
        both, rng = opened(*urls), random.Random(0)
        for backend in (*single, both):
            await backend.refresh()
        ways: dict[str, Choose] = {
            "one": lambda: single[0],
            "two, by chance": lambda: rng.choice(single),
            "two, kept": lambda: both,
        }
        found: dict[str, list[Seen]] = {name: [] for name in ways}
        for turn in range(rounds):
            for name, choose in ways.items():
                found[name].append(await run(choose, users, seconds, turn))
    print("servers        | tokens/s | first token p50 | p95, ms")
    for name, runs in found.items():
        tokens, half, most = (
            statistics.median(getattr(each, figure) for each in runs)
            for figure in ("tokens_per_second", "first_p50_s", "first_p95_s")
        )
        print(f"{name:14s} | {tokens:8.1f} | {half * 1e3:15.1f} | {most * 1e3:.1f}")
    one, two = ([each.tokens_per_second for each in found[name]] for name in ("one", "two, kept"))
    ratios = [after / before for before, after in zip(one, two, strict=True)]
    print(f"two ÷ one: {statistics.median(ratios):.2f} ({', '.join(f'{x:.2f}' for x in ratios)})")


def main() -> None:
    """Measure with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        urls = [stack.enter_context(served(cores[n % len(cores)])) for n in range(2)]
        asyncio.run(measure(urls, flags.users, flags.seconds, flags.rounds))


if __name__ == "__main__":
    main()
