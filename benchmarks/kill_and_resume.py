"""Runs that are killed at a random step and resumed, against one that never was: bit for bit?

python -m benchmarks.kill_and_resume [--kills 10] [--seed 0]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

STEPS = 40
COMMAND = (sys.executable, "-c", "from finetune.cli import main; main()")
WEIGHTS = Path("adapters") / "prices" / "v1" / "adapter_model.safetensors"
CHANGES = (
    f"max_steps={STEPS}",
    "micro_batch_size=4",
    "save_steps=3",
    "lora_dropout=0.1",
    "replay_fraction=0.2",
)


def finetune(home: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        (*COMMAND, *arguments),
        env=os.environ | {"PLAYGROUND_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def train(home: Path, rows: Path) -> "subprocess.Popen[bytes]":
    changes = [word for each in CHANGES for word in ("--set", each)]
    return finetune(home, "train", str(rows), "--name", "prices", *changes)


def losses(home: Path) -> list[tuple[int, float]]:
    (path,) = home.glob("runs/*/metrics.jsonl")
    lines = map(json.loads, path.read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines if "loss" in line and "done" not in line]


def last_step(home: Path) -> int:
    """The last step that was logged, even if its line is cut off."""
    paths = list(home.glob("runs/*/metrics.jsonl"))
    return paths[0].read_bytes().count(b"\n") if paths else 0


def one_kill(home: Path, rows: Path, step: int) -> int:
    process = train(home, rows)
    while process.poll() is None and last_step(home) < step:
        try:
            process.wait(0.002)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.wait()
    killed_at = last_step(home)
    if finetune(home, "resume", "prices").wait():
        raise RuntimeError("resuming failed")
    return killed_at


def write_rows(path: Path) -> None:
    rows: Sequence[dict[str, object]] = [
        {"prompt": f"What does item {at} cost?", "completion": f"Item {at} costs {at} euros."}
        for at in range(50)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    """A line a kill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        write_rows(rows)
        whole = Path(folder) / "whole"
        whole.mkdir()
        if train(whole, rows).wait():
            raise RuntimeError("the uninterrupted run failed")
        same = 0
        for number in range(given.kills):
            home = Path(folder) / f"killed-{number}"
            home.mkdir()
            at = one_kill(home, rows, rng.randint(4, STEPS - 1))
            equal_losses = losses(home) == losses(whole)
            equal_bytes = (home / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
            same += equal_losses and equal_bytes
            print(f"killed after step {at}: losses equal {equal_losses}, adapter {equal_bytes}")
        print(f"{same} of {given.kills} equal, bit for bit")


if __name__ == "__main__":
    main()
