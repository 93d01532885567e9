"""Four lanes ÷ one lane in wall time: the same question to one model in one batch.

    python -m benchmarks.lanes [--rounds 5]

The embedded model, one thread, the lanes as the Compare tab asks them: each with a prompt and a
seed of its own, the same number of tokens. One lane and four in turn; prints the median of each
and their quotient.
"""

import argparse
import asyncio
import statistics
import time

import torch

from playground.backends.local import LocalBackend
from playground.lab import Lane, ask_lanes, lane_of
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Sampling
from playground.runtime import quiet_libraries

QUESTION = (Message("user", "Tell me about the weather in Rome, and what to wear."),)
SYSTEMS = ("", "Be brief.", "Answer as a list.", "You are a meteorologist.")
TOKENS = 128


async def seconds(backend: LocalBackend, lanes: list[Lane]) -> float:
    """Seconds until all lanes have answered. Raises what a lane failed with."""
    began = time.perf_counter()
    async for event in ask_lanes(backend, lanes, QUESTION):
        if event.error:
            raise event.error
    return time.perf_counter() - began


async def measure(rounds: int) -> None:
    """Print the medians and their quotient."""
    with LocalBackend(load(ModelSpec("embedded"))) as backend:
        lanes = [
            await lane_of(
                backend,
                "embedded",
                system,
                Sampling(temperature=0.7, seed=seed, max_tokens=TOKENS, ignore_eos=True),
            )
            for seed, system in enumerate(SYSTEMS)
        ]
        await seconds(backend, lanes)  # warm
        one, four = [], []
        for _ in range(rounds):
            one.append(await seconds(backend, lanes[:1]))
            four.append(await seconds(backend, lanes))
    first, all_four = statistics.median(one), statistics.median(four)
    print(f"one lane {first:.2f} s, four lanes {all_four:.2f} s, quotient {all_four / first:.2f}")


def main() -> None:
    """Measure with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    quiet_libraries()
    torch.set_num_threads(1)
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
