"""Tokens a second through HTTP ÷ through the engine itself: the same engine, the same requests, in
turns, the clients in a process of their own.

    python -m benchmarks.http_overhead [--shape embedded|350m] [--precision fp32] [--rounds 5]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time

import httpx
import uvicorn

from playground.api import create_api
from playground.app import listen
from playground.bench.measures import Prompts, request, throughput
from playground.bench.shapes import loaded_shape
from playground.engine import Engine, Limits
from playground.protocol import ModelInfo
from playground.settings import Settings

STREAMS = 16
PROMPT, NEW = 64, 64


async def clients(url: str, model: str, prompts: list[list[int]]) -> float:
    """All prompts at once, streamed; tokens a second."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def one(prompt: list[int]) -> int:
            body = {
                "model": model,
                "prompt": prompt,
                "max_tokens": NEW,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            tokens = 0
            async with client.stream("POST", "/v1/completions", json=body) as reply:
                reply.raise_for_status()
                async for line in reply.aiter_lines():
                    if line.startswith("data: {") and '"usage":{' in line:
                        tokens = json.loads(line[6:])["usage"]["completion_tokens"]
            return tokens

        began = time.perf_counter()
        tokens = await asyncio.gather(*map(one, prompts))
        return sum(tokens) / (time.perf_counter() - began)


def serve(engine: Engine) -> tuple[uvicorn.Server, str]:
    listener = listen("127.0.0.1", 0)
    app = create_api(engine, Settings(max_body_mib=64))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return server, f"http://127.0.0.1:{listener.getsockname()[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="embedded")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--client", nargs=2, metavar=("URL", "MODEL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        print(asyncio.run(clients(*given.client, json.load(sys.stdin))))
        return
    loaded = loaded_shape(given.shape, given.precision)
    info = ModelInfo(loaded.name, loaded.context_length, created=1)
    with Engine(loaded, info, Limits(kv_cache_gib=2.0)) as engine:
        server, url = serve(engine)
        ratios = []
        for number in range(given.rounds + 1):
            prompts = list(Prompts(number).many(STREAMS, PROMPT))
            alone = throughput(engine, [request(info.name, each, NEW) for each in prompts])
            child = [sys.executable, "-m", "benchmarks.http_overhead", "--client", url, info.name]
            others = [[token + 1 for token in each] for each in prompts]  # no kept prefix helps
            sent = subprocess.run(
                child, input=json.dumps(others), capture_output=True, text=True, check=True
            )
            if number:
                ratios.append(float(sent.stdout) / alone)
                print(f"engine {alone:,.0f}, HTTP {float(sent.stdout):,.0f} tokens/s")
        server.should_exit = True
    print(f"HTTP ÷ engine, {STREAMS} streams, {given.shape} {given.precision}: "
          f"{statistics.median(ratios):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
