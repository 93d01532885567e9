"""A batch beside the same requests sent by concurrent clients, and what it costs others meanwhile.

`python -m benchmarks.batch` starts `playground` with the embedded model in a process of its own.
Wall time of a batch, from its creation to its end, against that of 16 clients that send the same
requests as fast as they are answered; seconds of a short chat by one client alone, and beside a
batch that runs all the while, in turns. Knows nothing of how the server shares its time.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import openai

COMMAND = (sys.executable, "-c", "from playground.cli import main; main()", "--port", "0")
ENDPOINT: Final = "/v1/chat/completions"
PATH = ENDPOINT.removeprefix("/v1")
CLIENTS = 16
TOKENS = 24
LONG_TOKENS = 400
POLL_S = 0.05


def request(number: int, tokens: int) -> dict[str, object]:
    """A greedy chat of exactly so many tokens."""
    return {
        "model": "embedded",
        "messages": [{"role": "user", "content": f"What do you know of the number {number}?"}],
        "temperature": 0,
        "max_tokens": tokens,
        "ignore_eos": True,
    }


@contextmanager
def served() -> Iterator[str]:
    """Start the server; yields the API's address once the model is loaded."""
    with tempfile.TemporaryDirectory() as home:
        command = (*COMMAND, "--home", home, "--model", "embedded")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            server.stdout.readline()
            try:
                yield f"{found.group()}/v1"
            finally:
                server.terminate()


def create(client: openai.OpenAI, count: int, tokens: int) -> str:
    """Begin a batch; returns its id."""
    lines = (
        {"custom_id": str(n), "method": "POST", "url": ENDPOINT, "body": request(n, tokens)}
        for n in range(count)
    )
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = client.files.create(file=("requests.jsonl", data), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
    ).id


def batch_seconds(client: openai.OpenAI, count: int) -> float:
    """Seconds from the creation of a batch to its end."""
    began = time.monotonic()
    batch_id = create(client, count, TOKENS)
    while (batch := client.batches.retrieve(batch_id)).status in ("validating", "in_progress"):
        time.sleep(POLL_S)
    assert batch.request_counts is not None
    assert batch.request_counts.completed == count, batch
    return time.monotonic() - began


async def clients_seconds(url: str, count: int) -> float:
    """Seconds for the same requests by `CLIENTS` clients."""
    numbers = iter(range(count))

    async def work(client: openai.AsyncOpenAI) -> None:
        for number in numbers:
            await client.post(PATH, body=request(number, TOKENS), cast_to=object)

    began = time.monotonic()
    async with openai.AsyncOpenAI(base_url=url, api_key="any", timeout=600) as client:
        await asyncio.gather(*(work(client) for _ in range(CLIENTS)))
    return time.monotonic() - began


def chat_seconds(client: openai.OpenAI, chats: int, first: int) -> list[float]:
    """Seconds of short chats, one after another."""
    taken = []
    for number in range(first, first + chats):
        began = time.monotonic()
        client.post(PATH, body=request(number, TOKENS), cast_to=object)
        taken.append(time.monotonic() - began)
    return taken


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def measure_beside(client: openai.OpenAI, rounds: int, chats: int) -> None:
    """Print the seconds of chats alone and beside a batch, round by round and of all."""
    alone: list[float] = []
    beside: list[float] = []
    answered = 0
    for turn in range(rounds):
        first = 10_000 + 1_000 * turn
        quiet = chat_seconds(client, chats, first)
        batch_id = create(client, 1000, LONG_TOKENS)
        while client.batches.retrieve(batch_id).status == "validating":
            time.sleep(POLL_S)
        busy = chat_seconds(client, chats, first + 500)
        client.batches.cancel(batch_id)
        while (batch := client.batches.retrieve(batch_id)).status == "cancelling":
            time.sleep(POLL_S)
        answered += batch.request_counts.completed if batch.request_counts else 0
        print(f"  p95 alone {p95(quiet):.3f} s, beside {p95(busy):.3f} s")
        alone += quiet
        beside += busy
    print(
        f"chat of {TOKENS} tokens: p50 {statistics.median(alone):.3f} -> "
        f"{statistics.median(beside):.3f} s, p95 {p95(alone):.3f} -> {p95(beside):.3f} s: "
        f"{p95(beside) / p95(alone):.2f} times; {answered} requests of the batch meanwhile"
    )


def main() -> None:
    """Measure both, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chats", type=int, default=60)
    chosen = parser.parse_args()
    with served() as url, openai.OpenAI(base_url=url, api_key="any", timeout=600) as client:
        chat_seconds(client, 5, 0)
        ratios = []
        for _ in range(chosen.rounds):
            by_clients = asyncio.run(clients_seconds(url, chosen.requests))
            by_batch = batch_seconds(client, chosen.requests)
            ratios.append(by_batch / by_clients)
            print(f"  {CLIENTS} clients {by_clients:.1f} s, batch {by_batch:.1f} s", flush=True)
        print(f"batch of {chosen.requests}: {statistics.median(ratios):.2f} times the clients")
        measure_beside(client, chosen.rounds, chosen.chats)


if __name__ == "__main__":
    main()
