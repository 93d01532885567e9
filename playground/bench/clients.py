"""Clients of an HTTP server, in a process of their own: `python -m playground.bench.clients`.

Reads JSON from standard input: ``url``, ``form`` (a key of `USAGE`) and ``requests``, the bodies to
post, all at once, each asking for a stream. Prints JSON: ``tokens`` generated and ``prompt_tokens``
read, as the server counted them, and ``seconds`` from the first request sent to the last answer's
end. Connections are open by then, as those of clients are that keep them; what the answers count is
read out afterwards.
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


class Client:
    """One connection, and what it will post."""

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
        self._connection.connect()
        self._path = parts.path
        self._body = json.dumps(body).encode()

    def answer(self) -> tuple[int, bytes]:
        """Return the HTTP status and everything that was streamed."""
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", self._path, self._body, headers)
        reply = self._connection.getresponse()
        try:
            return reply.status, reply.read()
        finally:
            self._connection.close()


def counted(form: str, status: int, streamed: bytes) -> tuple[int, int]:
    """Tokens of the prompt and of the answer. Raises RuntimeError where there was none."""
    text = streamed.decode("utf-8", "replace")
    events = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    read, generated = USAGE[form]
    for event in reversed(events):
        fields = json.loads(event)
        usage = fields.get("usage") or fields
        if generated in usage:
            return usage[read], usage[generated]
    raise RuntimeError(f"answered {status}: {text[-500:]}")


def main() -> None:
    """Post all requests at once and print what came of them."""
    job = json.load(sys.stdin)
    clients = [Client(job["url"], body) for body in job["requests"]]
    with ThreadPoolExecutor(len(clients)) as pool:
        began = time.perf_counter()
        answers = list(pool.map(Client.answer, clients))
        seconds = time.perf_counter() - began
    counts = [counted(job["form"], *answer) for answer in answers]
    read, generated = map(sum, zip(*counts, strict=True))
    print(json.dumps({"tokens": generated, "prompt_tokens": read, "seconds": seconds}))


if __name__ == "__main__":
    main()
