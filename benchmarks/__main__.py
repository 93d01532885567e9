"""Seconds from the command to /health, to the first token, and 32 streams from this process."""

import asyncio
import re
import statistics
import subprocess
import sys
import time
import urllib.request

import openai

SERVE = "from playground.cli import main; main()"
COMMAND = (sys.executable, "-c", SERVE, "--model", "embedded", "--port", "0")
QUESTION = "Could you make a table of the planets, please?"
STREAMS = 32


async def stream(client: openai.AsyncOpenAI, text: str) -> tuple[str, float, int]:
    """The greedy answer, seconds to its first token, and its tokens."""
    began, first, pieces, tokens = time.monotonic(), 0.0, [], 0
    chunks = await client.chat.completions.create(
        model="embedded",
        messages=[{"role": "user", "content": text}],
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.monotonic() - began
            pieces.append(chunk.choices[0].delta.content)
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
    return "".join(pieces), first, tokens


async def streams(base_url: str) -> None:
    """One stream at a time, then all at once; prints what they took."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none") as client:
        texts = [f"{QUESTION} {'Please. ' * (at % 5)}" for at in range(STREAMS)]
        await stream(client, QUESTION)
        began = time.monotonic()
        solo = [await stream(client, text) for text in texts]
        solo_speed = sum(each[2] for each in solo) / (time.monotonic() - began)
        began = time.monotonic()
        crowd = await asyncio.gather(*(stream(client, text) for text in texts))
        speed = sum(each[2] for each in crowd) / (time.monotonic() - began)
    firsts = sorted(each[1] for each in crowd)
    equal = sum(a[0] == b[0] for a, b in zip(solo, crowd, strict=True))
    p95 = statistics.quantiles(firsts, n=20)[-1]
    print(f"{STREAMS} streams: {equal} greedy answers equal their solo answers")
    print(f"time to first token: p50 {statistics.median(firsts):.3f} s, p95 {p95:.3f} s")
    print(f"{speed:.0f} tokens/s, {speed / solo_speed:.1f} times one stream's {solo_speed:.0f}")


def main() -> None:
    """Start the server in a process of its own and measure it."""
    began = time.monotonic()
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        server.stdout.readline()  # "Ready: …", once the model is loaded
        urllib.request.urlopen(f"{found.group()}/health", timeout=30).close()
        print(f"from the command to /health: {time.monotonic() - began:.1f} s")
        client = openai.OpenAI(base_url=f"{found.group()}/v1", api_key="none")
        chunks = client.chat.completions.create(
            model="embedded", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        next(c for c in chunks if c.choices and c.choices[0].delta.content)
        print(f"from the command to the first token: {time.monotonic() - began:.1f} s")
        asyncio.run(streams(f"{found.group()}/v1"))
        server.terminate()


if __name__ == "__main__":
    main()
