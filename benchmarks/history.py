"""Time to list and search a history of 20,000 conversations, and writes that two processes lose.

    python -m benchmarks.history [--conversations 20000] [--url postgresql://…]

Prints p50 and p95 in ms over 200 calls each, against the limit of 50 ms.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

from playground.store.conversation_types import NewConversation, NewItem, Wanted
from playground.store.conversations import Conversations

CALLS, WRITES, SEED = 200, 500, 7
LIMIT_MS = 50.0
SYLLABLES = ("ba", "ke", "li", "mo", "nu", "pra", "sto", "vel", "zin", "dor", "fam", "gri", "hul")
WRITER = """
import sys
from pathlib import Path
from benchmarks.history import message
from playground.store.conversations import Conversations
store = Conversations(Path(sys.argv[1]), sys.argv[2])
for number in range(int(sys.argv[5])):
    store.append(sys.argv[3], [message("user", f"{sys.argv[4]} {number}")])
store.close()
"""


def message(role: str, text: str) -> NewItem:
    content = [{"type": "input_text", "text": text}]
    return NewItem({"type": "message", "role": role, "content": content})


def fill(store: Conversations, count: int, words: list[str], rng: random.Random) -> None:
    """Keep conversations of six messages; frequent words are in most of them, rare ones in few."""
    weights = list(accumulate(1 / (place + 1) for place in range(len(words))))
    now = time.time()
    batch: list[NewConversation] = []
    for number in range(count):
        items = [
            message(role, " ".join(rng.choices(words, cum_weights=weights, k=length)))
            for role, length in (("user", 20), ("assistant", 80)) * 3
        ]
        folder = f"folder {number % 20}" if number % 3 == 0 else ""
        batch.append(NewConversation(items, folder=folder, created=now - number * 60))
        if len(batch) == 1000:
            store.add_all(batch)
            batch = []
    store.add_all(batch)


def measure(name: str, call: Callable[[], object]) -> float:
    """Time calls; prints and returns p95 in ms."""
    call()
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    p95 = statistics.quantiles(taken, n=20)[-1]
    print(f"{name:34} p50 {statistics.median(taken):6.1f} ms   p95 {p95:6.1f} ms", flush=True)
    return p95


def lost_writes(home: Path, url: str) -> int:
    """Let two processes write to one conversation; returns how many of their writes are missing."""
    store = Conversations(home, url)
    conversation = store.add(NewConversation(kind="api"))
    began = time.perf_counter()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), url, conversation.id, name, str(WRITES)]
        )
        for name in ("first", "second")
    ]
    codes = [writer.wait() for writer in writers]
    kept = len(store.find(conversation.id).path())
    store.close()
    took = time.perf_counter() - began
    print(f"2 processes × {WRITES} writes: {2 * WRITES - kept} lost, {took:.1f} s, exit {codes}")
    return 2 * WRITES - kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=20_000)
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    rng = random.Random(SEED)
    words = ["".join(rng.choices(SYLLABLES, k=3)) for _ in range(20_000)]
    with tempfile.TemporaryDirectory() as folder:
        store = Conversations(Path(folder), options.url)
        began = time.perf_counter()
        fill(store, options.conversations, words, rng)
        print(
            f"{options.conversations:,} conversations kept in {time.perf_counter() - began:.0f} s"
        )
        page = store.list(Wanted(limit=50))
        last = page.conversations[-1].id
        two = f"{words[2]} {words[40]}"
        slowest = max(
            measure("list, newest 50", lambda: store.list()),
            measure("list, the next 50", lambda: store.list(Wanted(after=last))),
            measure("list of a folder", lambda: store.list(Wanted(folder="folder 3"))),
            measure("search, a word in most", lambda: store.list(Wanted(query=words[0]))),
            measure("search, a word in some", lambda: store.list(Wanted(query=words[300]))),
            measure("search, a rare word", lambda: store.list(Wanted(query=words[15_000]))),
            measure("search, two words", lambda: store.list(Wanted(query=two))),
            measure("search, a beginning", lambda: store.list(Wanted(query=words[7][:4]))),
            measure("search, nothing found", lambda: store.list(Wanted(query="qqqq"))),
        )
        store.close()
        print(f"slowest p95 {slowest:.1f} ms; limit {LIMIT_MS:.0f} ms")
        lost = lost_writes(Path(folder), options.url)
    sys.exit(slowest > LIMIT_MS or lost > 0)


if __name__ == "__main__":
    main()
