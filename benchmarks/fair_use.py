"""What a host asks first: who waits for whom, what limits refuse, how the server ends, and what
survives a kill.

    python -m benchmarks.fair_use [--chats 40 --beside 100]

A `playground` with the embedded model and a password, in a process of its own. Fairness: short
chats of one key, one after another, alone and while another key keeps a hundred requests waiting,
in turns. Limiter: more requests of a key than it has a minute. Drain: SIGTERM to an idle server and
to one that is answering. Kill: SIGKILL in the middle of a batch and a training job; what a second
process on the same home then has. Knows no part of the server.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import openai

RUN: Final = (sys.executable, "-c", "from playground.cli import main; main()")
PASSWORD: Final = "a password of this benchmark"
SCOPES: Final = ("chat", "files", "fine-tune")
TOKENS, LONG_TOKENS = 24, 300
RUNNING, BATCH, PER_MINUTE = 16, 200, 10
POLL_S, PATIENCE_S = 0.1, 300.0
ROWS: Final = [
    {"messages": [
        {"role": "user", "content": f"Where is crate {n % 12}?"},
        {"role": "assistant", "content": f"Crate {n % 12} is at gate {n % 12 + 3}."},
    ]}
    for n in range(48)
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its address, and its process."""

    url: str
    process: subprocess.Popen[str]

    def client(self, key: str) -> openai.OpenAI:
        """OpenAI's, which does not try again."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=600)


@contextmanager
def served(home: Path, *flags: str) -> Iterator[Served]:
    """Start a server; yields it once the model is loaded, and ends it if nobody did."""
    command = (*RUN, "--home", str(home), "--model", "embedded", "--port", "0", *flags)
    environment = {**os.environ, "PLAYGROUND_ACCESS__PASSWORD": PASSWORD}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = None
        while address is None:
            line = process.stdout.readline()
            assert line, "the server has ended"
            address = re.search(r"http://[\d.:]+", line)
        while httpx.get(f"{address.group()}/health").status_code != httpx.codes.OK:
            time.sleep(POLL_S)
        try:
            yield Served(address.group(), process)
        finally:
            process.kill()


def new_key(home: Path, name: str, *scopes: str) -> str:
    """Make an API key by the command."""
    asked = [word for scope in scopes for word in ("--scope", scope)]
    made = subprocess.run(
        (*RUN, "keys", "create", name, *asked, "--user", "admin"),
        env={**os.environ, "PLAYGROUND_HOME": str(home)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"sk-pg-\S+", made.stdout)
    assert found is not None, made.stdout
    return found.group()


def request(number: int, tokens: int) -> dict[str, object]:
    """A greedy chat of exactly so many tokens."""
    return {
        "model": "embedded",
        "messages": [{"role": "user", "content": f"What do you know of the number {number}?"}],
        "temperature": 0, "max_tokens": tokens, "ignore_eos": True,
    }  # fmt: skip


def chat_seconds(client: openai.OpenAI, chats: int, first: int) -> list[float]:
    """Seconds of short chats, one after another."""
    taken = []
    for number in range(first, first + chats):
        began = time.monotonic()
        client.post("/chat/completions", body=request(number, TOKENS), cast_to=object)
        taken.append(time.monotonic() - began)
    return taken


async def keep_waiting(server: Served, key: str, at_once: int, ended: asyncio.Event) -> int:
    """Keep so many requests of one key waiting; returns how many were answered."""
    answered = 0

    async def work(client: openai.AsyncOpenAI, number: int) -> None:
        nonlocal answered
        while not ended.is_set():
            number += at_once
            await client.post("/chat/completions", body=request(number, TOKENS), cast_to=object)
            answered += 1

    url = f"{server.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=key, timeout=600) as client:
        await asyncio.gather(*(work(client, 100_000 + number) for number in range(at_once)))
    return answered


async def fairness(server: Served, keys: Sequence[str], chats: int, at_once: int) -> None:
    """Print the seconds of one key's chats alone and beside the other's requests."""
    alone: list[float] = []
    beside: list[float] = []
    answered = 0
    with server.client(keys[0]) as client:
        chat_seconds(client, 5, 0)
        for turn in range(3):
            first = 1_000 + 1_000 * turn
            alone += await asyncio.to_thread(chat_seconds, client, chats, first)
            ended = asyncio.Event()
            others = asyncio.create_task(keep_waiting(server, keys[1], at_once, ended))
            await asyncio.sleep(1.0)  # all of them wait
            beside += await asyncio.to_thread(chat_seconds, client, chats, first + 500)
            ended.set()
            answered += await others
    ratio = p95(beside) / p95(alone)
    print(
        f"fairness: p50 {statistics.median(alone):.3f} -> {statistics.median(beside):.3f} s, p95 "
        f"{p95(alone):.3f} -> {p95(beside):.3f} s beside {at_once} requests of another key: "
        f"{ratio:.2f} times; {answered} of those answered"
    )


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def limiter(server: Served, key: str) -> None:
    """Print what comes of twice as many requests as a key has a minute."""
    statuses: Counter[int] = Counter()
    waits, left = [], []
    for number in range(2 * PER_MINUTE):
        reply = httpx.post(
            f"{server.url}/v1/chat/completions", json=request(number, 1), timeout=60,
            headers={"Authorization": f"Bearer {key}"},
        )  # fmt: skip
        statuses[reply.status_code] += 1
        left.append(reply.headers.get("x-ratelimit-remaining-requests", "-"))
        if reply.status_code == httpx.codes.TOO_MANY_REQUESTS:
            waits.append(int(reply.headers["retry-after"]))
    print(
        f"limiter: {2 * PER_MINUTE} requests at {PER_MINUTE} a minute: {dict(statuses)}, "
        f"x-ratelimit-remaining-requests {' '.join(left[:PER_MINUTE])}, Retry-After "
        f"{min(waits)} to {max(waits)} s"
    )


async def drain(server: Served, key: str, running: int) -> None:
    """Print how a server ends that is answering so many."""
    url = f"{server.url}/v1"
    ends: Counter[str] = Counter()

    async def answer(client: openai.AsyncOpenAI, number: int, begun: asyncio.Event) -> None:
        stream = await client.chat.completions.create(
            model="embedded", stream=True, max_tokens=LONG_TOKENS, temperature=0,
            messages=[{"role": "user", "content": f"Make a table of {number} planets, please."}],
            extra_body={"ignore_eos": True},
        )  # fmt: skip
        async for chunk in stream:
            begun.set()
            for choice in chunk.choices:
                if choice.finish_reason:
                    ends[choice.finish_reason] += 1

    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        begun = [asyncio.Event() for _ in range(running)]
        answers = [
            asyncio.create_task(answer(client, number, event)) for number, event in enumerate(begun)
        ]
        for event in begun:
            await event.wait()
        asked = time.monotonic()
        server.process.terminate()
        code = await asyncio.to_thread(server.process.wait, PATIENCE_S)
        seconds = time.monotonic() - asked
        failed = [e for e in await asyncio.gather(*answers, return_exceptions=True) if e]
    print(
        f"drain: SIGTERM with {running} answers running: exit {code} after {seconds:.1f} s, "
        f"answers {dict(ends)}, cut off {len(failed)}"
    )


def kill(home: Path, key: str) -> None:
    """Print what is there after SIGKILL, in a second process on the same home."""
    with served(home) as server, server.client(key) as client:
        spoken = client.conversations.create().id
        ask = {"model": "embedded", "conversation": spoken, "max_output_tokens": TOKENS}
        client.responses.create(input="What is the capital of France?", **ask)  # type: ignore[call-overload]
        lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        rows = client.files.create(file=("rows.jsonl", lines), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="embedded", training_file=rows.id, suffix="gates"
        )
        bodies = "".join(
            json.dumps({"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions",
                        "body": request(n, TOKENS)}) + "\n"
            for n in range(BATCH)
        )  # fmt: skip
        file = client.files.create(file=("requests.jsonl", bodies.encode()), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while not (counts := client.batches.retrieve(batch.id).request_counts) or (
            counts.completed < BATCH // 10
        ):
            time.sleep(POLL_S)
        done_before = counts.completed
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    began = time.monotonic()
    with served(home) as server, server.client(key) as client:
        back = time.monotonic() - began
        items = list(client.conversations.items.list(spoken))
        while (found := client.batches.retrieve(batch.id)).status in ("validating", "in_progress"):
            time.sleep(POLL_S)
        assert found.output_file_id is not None
        answers = client.files.content(found.output_file_id).text.splitlines()
        ids = Counter(json.loads(line)["custom_id"] for line in answers)
        while (run := client.fine_tuning.jobs.retrieve(job.id)).status in ("queued", "running"):
            time.sleep(POLL_S)
        trained = {**request(0, TOKENS), "model": run.fine_tuned_model}
        client.post("/chat/completions", body=trained, cast_to=object)
    print(
        f"kill: SIGKILL with {done_before} of {BATCH} requests of a batch done and a job running; "
        f"back after {back:.1f} s; {len(items)} messages of the conversation; "
        f"batch {found.status}, {len(ids)} answers, {sum(n > 1 for n in ids.values())} twice; "
        f"job {run.status}, {run.fine_tuned_model} answers"
    )


def main() -> None:
    """Measure all four."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chats", type=int, default=40)
    parser.add_argument("--beside", type=int, default=100)
    parser.add_argument("--only-fairness", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with served(home) as server:
            keys = [new_key(home, name, *SCOPES) for name in ("one", "other")]
            asyncio.run(fairness(server, keys, flags.chats, flags.beside))
            if flags.only_fairness:
                return
            asyncio.run(drain(server, keys[0], RUNNING))
        with served(home) as server:
            asyncio.run(drain(server, keys[0], 0))
        with served(home, "--requests-per-minute", str(PER_MINUTE)) as server:
            limiter(server, keys[0])
        kill(home, keys[0])


if __name__ == "__main__":
    main()
