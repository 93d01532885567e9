"""Seconds and memory that checking a large file of rows takes, and what a chat beside it notices.

    python -m benchmarks.check_rows --megabytes 100
    python -m benchmarks.check_rows --megabytes 100 --tokenizer FOLDER

The tokenizer is the embedded model's unless ``--tokenizer`` names a model's folder, of which only
the tokenizer's files are read.

Writes invented rows, prepares and checks them with the calls of a job and of `finetune check`:
first alone, for seconds and memory; then so many as ``--beside`` says while a server in a process
of its own streams one answer after another, for the longest gap in them. Memory is the sum of all
checking processes' proportional set sizes, looked at twice a second; that of torch, which is
imported before as it is in a server, is not counted.
"""

import argparse
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import openai
import psutil

from finetune.check import CheckedRows, check_rows
from finetune.child_process import NICENESS
from finetune.data.dataset import PROCESS_BYTES, PrepareHooks, prepare
from finetune.recipe import embedded_cpu
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loader import load_tokenizer
from playground.models.tokenizer import ChatTokenizer

SERVE = "from playground.cli import main; main()"
COMMAND = (sys.executable, "-c", SERVE, "--model", "embedded", "--port", "0")
WORDS = (
    "crate pier gate dock barge crane ledger tide rope signal harbour lantern anchor parcel yard "
    "morning evening north south early late heavy empty sealed open marked stored moved counted"
)
ANSWER_WORDS = (12, 90)
LOOK_S, QUIET_S = 0.5, 10.0
LOADING_RETRIES = 60
MIB = 2**20


class Memory(threading.Thread):
    """Peak memory in bytes: what this process took since, and the processes that it started."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.before = psutil.Process().memory_full_info().pss
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until `ended` is set."""
        own = psutil.Process()
        while not self.ended.wait(LOOK_S):
            total = 0
            for process in (own, *own.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_full_info().pss
            self.peak = max(self.peak, total - self.before)


class Chat(threading.Thread):
    """Streams one answer after another; ``gaps`` are the seconds between two pieces of one."""

    def __init__(self, base_url: str) -> None:
        super().__init__(daemon=True)
        self.gaps: list[float] = []
        self.ended = threading.Event()
        self._client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=LOADING_RETRIES)

    def run(self) -> None:
        """Chat until `ended` is set."""
        while not self.ended.is_set():
            last = 0.0
            for chunk in self._client.chat.completions.create(
                model="embedded",
                messages=[{"role": "user", "content": "Make a table of the planets, please."}],
                stream=True,
            ):
                now = time.monotonic()
                if chunk.choices and chunk.choices[0].delta.content:
                    if last:
                        self.gaps.append(now - last)
                    last = now
                if self.ended.is_set():
                    return


def write_rows(path: Path, size: int) -> int:
    """Write so many bytes of rows, all different; returns their number."""
    rng, written, number = random.Random(0), 0, 0
    words = WORDS.split()
    with path.open("w") as file:
        while written < size:
            question = f"What is known of crate {number} {' '.join(rng.choices(words, k=8))}?"
            answer = " ".join(rng.choices(words, k=rng.randint(*ANSWER_WORDS)))
            messages = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
            written += file.write(json.dumps({"messages": messages}) + "\n")
            number += 1
    return number


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Start a server; yields the API's address."""
    environment = {**os.environ, "PLAYGROUND_HOME": str(home)}
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                if found := re.search(r"http://[\w.:]+", line):
                    threading.Thread(target=server.stdout.read, daemon=True).start()
                    yield f"{found[0]}/v1"
                    return
            raise RuntimeError("the server has ended")
        finally:
            server.terminate()


def cpu_seconds() -> float:
    """CPU time of this process and of the processes that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


@dataclass
class Pauses:
    """The longest time without a count of rows, in seconds: between two, and before the first."""

    longest: float = 0.0
    last: float = field(default_factory=time.monotonic)

    def count(self, rows: int) -> None:
        """Print a count."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now
        print(f"\r{rows:,} rows", end="", flush=True, file=sys.stderr)


def check(file: Path, home: Path, tokenizer: ChatTokenizer, pauses: Pauses) -> CheckedRows:
    """Prepare and check as a job does."""
    hooks = PrepareHooks(pauses.count, niceness=NICENESS)
    dataset = prepare([file], tokenizer, home, hooks=hooks)
    print("\r", end="", file=sys.stderr)
    return check_rows(dataset, embedded_cpu(), niceness=NICENESS)


def check_alone(folder: Path, size: int, tokenizer: ChatTokenizer) -> None:
    """Print what the check takes with nothing beside it."""
    file = folder / "rows.jsonl"
    rows = write_rows(file, size)
    print(f"{rows:,} rows, {size / 1e6:g} MB; load {os.getloadavg()[0]:.1f}")
    memory, pauses = Memory(), Pauses()
    memory.start()
    began, cpu = time.monotonic(), cpu_seconds()
    found = check(file, folder, tokenizer, pauses)
    seconds, cpu = time.monotonic() - began, cpu_seconds() - cpu
    memory.ended.set()
    assert found.rows == rows
    print(f"alone: checked in {seconds:.1f} s; load {os.getloadavg()[0]:.1f}")
    print(f"CPU time of all processes: {cpu:.1f} s, {cpu / rows * 1e3:.2f} ms a row")
    print(f"peak memory of the checking processes: {memory.peak / MIB:.0f} MiB")
    print(f"longest time without a new count of rows: {pauses.longest:.1f} s")


def check_beside_chat(folder: Path, size: int, tokenizer: ChatTokenizer) -> None:
    """Print what a chat notices of a check."""
    file = folder / "beside.jsonl"
    rows = write_rows(file, size)
    with served(folder / "server") as url:
        chat = Chat(url)
        chat.start()
        while not chat.gaps and chat.is_alive():  # the model is loading
            time.sleep(LOOK_S)
        time.sleep(QUIET_S)
        before = len(chat.gaps)
        began = time.monotonic()
        found = check(file, folder, tokenizer, Pauses())
        seconds, beside = time.monotonic() - began, len(chat.gaps)
        chat.ended.set()
        chat.join()
    assert found.rows == rows
    print(f"beside a chat: {size / 1e6:g} MB checked in {seconds:.1f} s; "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for name, gaps in (("before", chat.gaps[:before]), ("beside", chat.gaps[before:beside])):
        print(f"gaps between tokens {name} it: {statistics.median(gaps):.3f} s in the middle, "
              f"{max(gaps):.3f} s the longest of {len(gaps):,}")  # fmt: skip


def main() -> None:
    """Print what a check takes alone, and what a chat notices of one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=100.0)
    parser.add_argument("--beside", type=float, help="megabytes beside a chat; a tenth, at most 10")
    parser.add_argument("--tokenizer", type=Path, default=EMBEDDED_FOLDER, metavar="FOLDER")
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.tokenizer)
    import_module("finetune.training.plan")  # with torch and transformers
    beside = arguments.beside or min(10.0, arguments.megabytes / 10)
    with tempfile.TemporaryDirectory() as folder:
        check_alone(Path(folder), round(arguments.megabytes * 1e6), tokenizer)
        check_beside_chat(Path(folder), round(max(beside * 1e6, PROCESS_BYTES)), tokenizer)


if __name__ == "__main__":
    main()
