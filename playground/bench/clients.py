"""Clients of an HTTP server, in a process of their own: `python -m playground.bench.clients`.

Reads JSON from standard input: ``url``, ``form`` (a key of `USAGE`) and ``requests``, the bodies to
post, all at once, each asking for a stream. Prints JSON: ``tokens`` generated and ``prompt_tokens``
read, as the server counted them, and ``seconds`` from the first request sent to the last answer's
end. Python's start is not in them.
"""

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 600
USAGE = {
    "openai": ("prompt_tokens", "completion_tokens"),
    "llama.cpp": ("tokens_evaluated", "tokens_predicted"),
}
"""Where a stream's last event counts tokens: OpenAI's in ``usage``, llama.cpp's in the event."""


def answered(url: str, form: str, body: dict[str, Any]) -> tuple[int, int]:
    """Tokens of the prompt and of the answer. Raises RuntimeError where there was none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request(
            "POST", parts.path, json.dumps(body), {"Content-Type": "application/json"}
        )
        reply = connection.getresponse()
        text = reply.read().decode("utf-8", "replace")
    finally:
        connection.close()
    events = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    read, generated = USAGE[form]
    for event in reversed(events):
        fields = json.loads(event)
        usage = fields.get("usage") or fields
        if generated in usage:
            return usage[read], usage[generated]
    raise RuntimeError(f"{url} answered {reply.status}: {text[-500:]}")


def main() -> None:
    """All requests at once."""
    asked = json.load(sys.stdin)
    bodies = asked["requests"]
    with ThreadPoolExecutor(len(bodies)) as pool:
        began = time.perf_counter()
        counts = list(pool.map(lambda body: answered(asked["url"], asked["form"], body), bodies))
        seconds = time.perf_counter() - began
    read, generated = map(sum, zip(*counts, strict=True))
    print(json.dumps({"tokens": generated, "prompt_tokens": read, "seconds": seconds}))


if __name__ == "__main__":
    main()
