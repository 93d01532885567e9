"""Answers that repeat their prompt, with drafts ÷ without: tokens a second of the embedded model on
held-out rows, the same requests to both engines in turns.

    python -m benchmarks.drafts [--rounds 5]
"""

import argparse
import statistics

import torch

from playground.backends.local import LocalBackend
from playground.bench.measures import throughput
from playground.engine import Limits
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, ModelInfo, Request, Sampling
from recipes.tiny_mistral.evaluation import held_out_rows

FAMILIES = ("copying", "extraction", "tools.answer", "system.upper", "chat.facts", "chat.markdown")
STREAMS = (1, 4, 16)
ROWS = 16


def requests(family: str, streams: int) -> list[list[Request]]:
    """Sixteen rows of a family, so many at a time."""
    asked = []
    for row in held_out_rows(family, ROWS):
        end = next(at for at, turn in enumerate(row.turns) if turn.role == "user") + 1
        messages = tuple(Message(turn.role, turn.text) for turn in row.turns[:end])
        sampling = Sampling(temperature=0.0, max_tokens=96)
        asked.append(Request("embedded", messages, sampling=sampling))
    return [asked[at : at + streams] for at in range(0, ROWS, streams)]


def speed(backend: LocalBackend, family: str, streams: int) -> float:
    """The mean over the groups of tokens a second."""
    return statistics.mean(throughput(backend, group) for group in requests(family, streams))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    loaded = load(ModelSpec("embedded"))
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    limits = [Limits(prefix_cache=False, drafts=drafts) for drafts in (True, False)]
    print(f"tokens/s with drafts ÷ without, medians of {rounds}")
    with (
        LocalBackend(loaded, info, limits[0]) as drafting,
        LocalBackend(loaded, info, limits[1]) as plain,
    ):
        for family in FAMILIES:
            cells = []
            for streams in STREAMS:
                ratios = [
                    speed(drafting, family, streams) / speed(plain, family, streams)
                    for _ in range(rounds)
                ]
                cells.append(f"{streams}: {statistics.median(ratios):.2f}")
            print(f"{family:16}", "  ".join(cells))


if __name__ == "__main__":
    main()
