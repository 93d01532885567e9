"""How long a running stream pauses beside requests with large schemas.

    python -m benchmarks.schema_gap [--rounds N]

The API with the embedded model runs in a process of its own; the client reads one long stream and
asks for the path /health all the time, and sends one large request in the middle. Each row is the
median of its rounds. To measure another version, run the file with that version's folder first in
PYTHONPATH.
"""

import argparse
import itertools
import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import httpx

from playground import app, server
from playground.settings import load_settings

STREAM_TOKENS = 1800
WARM_UP_S = 0.7
"""Of the stream, before the large request is sent."""
TIMEOUT_S = 300
MIB = 1024 * 1024

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round; times in seconds."""

    stream_gap: float
    health: float
    request: float
    status: int


def field_schema(name: str) -> Body:
    return {"type": "string", "description": f"The {name} of it"}


def object_schema(salt: str, properties: int) -> Body:
    names = [f"{salt}_{n}" for n in range(properties)]
    return {
        "type": "object",
        "properties": {name: field_schema(name) for name in names},
        "required": names,
    }


def schema_body(salt: str, objects: int) -> Body:
    """Objects of 30 properties each in one response format; 63 of them are 144 KB of JSON."""
    parts = {f"part_{n}": object_schema(f"{salt}{n}", 30) for n in range(objects)}
    schema = {"type": "object", "properties": parts, "required": list(parts)}
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    }


def tools_body(salt: str, tools: int) -> Body:
    """Tools of 20 properties each."""
    functions = [
        {"name": f"{salt}_{n}", "parameters": object_schema(f"{salt}{n}", 20)} for n in range(tools)
    ]
    return {"tools": [{"type": "function", "function": function} for function in functions]}


def large_body(salt: str) -> Body:
    """As many objects as 4 MiB hold, which is the largest body by default."""
    size = len(json.dumps(schema_body(salt, 100))) / 100
    return schema_body(salt, int(4 * MIB / size * 0.9))


CASES: Mapping[str, Callable[[str], Body]] = {
    "a short question": lambda _: {},
    "144 KB of schema": lambda salt: schema_body(salt, 63),
    "128 tools": lambda salt: tools_body(salt, 128),
    "4 MiB of schema": large_body,
}


def serve(connection: Connection) -> None:
    with app.start_backend(load_settings()) as backend, server.served_api(backend) as url:
        connection.send((url, sorted(backend.loaded.tokenizer.end_ids)))
        connection.recv()


def read_stream(url: str, end_ids: list[int], times: list[float]) -> None:
    """Note when each chunk came of an answer that cannot end by itself."""
    body = {
        "model": "embedded",
        "messages": [{"role": "user", "content": "Tell me a story."}],
        "max_tokens": STREAM_TOKENS,
        "temperature": 1,
        "logit_bias": {str(token): -100 for token in end_ids},
        "stream": True,
    }
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=TIMEOUT_S) as reply:
        for line in reply.iter_lines():
            if line:
                times.append(time.perf_counter())


def poll_health(url: str, done: threading.Event, times: list[float]) -> None:
    with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
        while not done.is_set():
            began = time.perf_counter()
            client.get("/health")
            times.append(time.perf_counter() - began)
            time.sleep(0.005)


def measure(url: str, end_ids: list[int], body: Body) -> Outcome:
    """Send the body while a stream runs."""
    chunks: list[float] = []
    health: list[float] = []
    done = threading.Event()
    threads = [
        threading.Thread(target=read_stream, args=(url, end_ids, chunks)),
        threading.Thread(target=poll_health, args=(url, done, health)),
    ]
    content = json.dumps(
        {
            "model": "embedded",
            "messages": [{"role": "user", "content": "Hello!"}],
            "max_tokens": 1,
            **body,
        }
    )
    for thread in threads:
        thread.start()
    time.sleep(WARM_UP_S)
    began = time.perf_counter()
    reply = httpx.post(
        f"{url}/v1/chat/completions",
        content=content,
        headers={"Content-Type": "application/json"},
        timeout=TIMEOUT_S,
    )
    ended = time.perf_counter()
    threads[0].join()
    done.set()
    threads[1].join()
    later = [when for when in chunks if when >= began - 0.1]
    gaps = [after - before for before, after in itertools.pairwise(later)]
    return Outcome(max(gaps, default=0.0), max(health), ended - began, reply.status_code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,))
    process.start()
    url, end_ids = ours.recv()
    try:
        measure(url, end_ids, {})  # warms up
        print("| beside the stream | longest gap | longest /health | request | status |")
        print("|---|---|---|---|---|")
        for name, make in CASES.items():
            # Names of their own in each round: a schema is compiled once.
            outcomes = [measure(url, end_ids, make(f"n{number}")) for number in range(rounds)]
            times = [
                f"{statistics.median(values) * 1000:,.0f} ms"
                for values in (
                    [outcome.stream_gap for outcome in outcomes],
                    [outcome.health for outcome in outcomes],
                    [outcome.request for outcome in outcomes],
                )
            ]
            print(f"| {name} | {' | '.join(times)} | {outcomes[0].status} |", flush=True)
    finally:
        ours.send(None)
        process.join()


if __name__ == "__main__":
    main()
