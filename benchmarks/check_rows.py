"""Seconds and memory that checking a large file of rows takes, and what a chat beside it notices.

    python -m benchmarks.check_rows --megabytes 100

Writes invented rows, prepares and checks them with the calls of a job and of `finetune check`,
while a server in a process of its own streams answers. Memory is the sum of all checking
processes' proportional set sizes, looked at twice a second.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import openai
import psutil

from finetune.check import CheckedRows, check_rows
from finetune.data.dataset import PrepareHooks, prepare
from finetune.recipe import embedded_cpu
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

SERVE = "from playground.cli import main; main()"
COMMAND = (sys.executable, "-c", SERVE, "--model", "embedded", "--port", "0")
WORDS = (
    "crate pier gate dock barge crane ledger tide rope signal harbour lantern anchor parcel yard "
    "morning evening north south early late heavy empty sealed open marked stored moved counted"
)
ANSWER_WORDS = (12, 90)
LOOK_S, QUIET_S = 0.5, 10.0
MIB = 2**20


class Memory(threading.Thread):
    """The peak of this process and of all that it started, in bytes; servers left out."""

    def __init__(self, excluded: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.ended = threading.Event()
        self._excluded = excluded

    def run(self) -> None:
        """Look until `ended` is set."""
        own = psutil.Process()
        while not self.ended.wait(LOOK_S):
            total = 0
            for process in (own, *own.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    if process.pid != self._excluded:
                        total += process.memory_full_info().pss
            self.peak = max(self.peak, total)


class Chat(threading.Thread):
    """Streams one answer after another; ``gaps`` are the seconds between two pieces of one."""

    def __init__(self, base_url: str) -> None:
        super().__init__(daemon=True)
        self.gaps: list[float] = []
        self.ended = threading.Event()
        self._client = openai.OpenAI(base_url=base_url, api_key="none")

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
def served(home: Path) -> Iterator[tuple[str, int]]:
    """Start a server; yields the API's address and the process's id."""
    environment = {**os.environ, "PLAYGROUND_HOME": str(home)}
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                if found := re.search(r"http://[\w.:]+", line):
                    threading.Thread(target=server.stdout.read, daemon=True).start()
                    yield f"{found[0]}/v1", server.pid
                    return
            raise RuntimeError("the server has ended")
        finally:
            server.terminate()


def cpu_seconds() -> float:
    """CPU time of this process and of the processes that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def check(file: Path, home: Path) -> CheckedRows:
    """Prepare and check as a job does."""
    tokenizer = MistralTokenizer(EMBEDDED_FOLDER)
    hooks = PrepareHooks(lambda rows: print(f"\r{rows:,} rows", end="", flush=True), niceness=5)
    dataset = prepare([file], tokenizer, home, hooks=hooks)
    print()
    return check_rows(dataset, embedded_cpu(), niceness=5)


def main() -> None:
    """Print what the check took, and the longest gap of a chat before it and beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=100.0)
    size = round(parser.parse_args().megabytes * 1e6)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "server") as (url, pid):
        file = Path(folder) / "rows.jsonl"
        rows = write_rows(file, size)
        print(f"{rows:,} rows, {size / 1e6:g} MB; load {os.getloadavg()[0]:.1f}")
        chat, memory = Chat(url), Memory(pid)
        chat.start()
        time.sleep(QUIET_S)
        before = len(chat.gaps)
        memory.start()
        began, cpu = time.monotonic(), cpu_seconds()
        found = check(file, Path(folder))
        seconds, cpu = time.monotonic() - began, cpu_seconds() - cpu
        memory.ended.set()
        chat.ended.set()
        beside = len(chat.gaps)
        chat.join()
        assert found.rows == rows
        print(f"checked in {seconds:.1f} s, {cpu:.1f} s of CPU (this chat's client included)")
        print(f"peak memory of the checking processes: {memory.peak / MIB:.0f} MiB")
        print(f"longest gap between tokens: {max(chat.gaps[:before], default=0):.3f} s before, "
              f"{max(chat.gaps[before:beside], default=0):.3f} s beside it")  # fmt: skip
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
