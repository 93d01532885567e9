"""What a model answers to plain questions, as rows: so that a later training does not change it.

    python -m recipes.smollm2.chat --model BASE --own recipes/smollm2/own OUT
    python -m recipes.smollm2.chat --model BASE --questions FILE --all --tokens 64 OUT

Questions come from `recipes.smollm2.questions` and from requests that functions would be called
for; there are none here. Answers are greedy. One that was cut off is kept up to its last whole
sentence, and left out if it repeats itself.
"""

import argparse
import asyncio
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Answer, Message, Request, Sampling, answer
from playground.runtime import quiet_libraries
from recipes.smollm2 import questions

AT_ONCE = 32
TOKENS = 72
DRAWN_EACH = 20
REQUESTS = 60


async def answers(
    backend: LocalBackend, model: str, asked: Sequence[str], tokens: int
) -> list[Answer]:
    """Ask each question by itself, without functions and system prompt; greedy."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(question: str) -> Answer:
        sampling = Sampling(temperature=0.0, max_tokens=tokens)
        request = Request(model=model, messages=(Message("user", question),), sampling=sampling)
        async with gate:
            return await answer(backend, request)

    return list(await asyncio.gather(*map(one, asked)))


def questions_of(file: Path) -> list[str]:
    """The first message of each row of a file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"][0]["content"] for line in lines]


def asked_of(folder: Path, seed: int) -> list[str]:
    """The project's questions, and requests of its function rows as if there were no functions."""
    rng = random.Random(seed)
    rows = (folder / "tools.jsonl").read_text(encoding="utf-8").splitlines()
    requests = [json.loads(row)["text"] for row in rows]
    kept = set(questions_of(folder / "held_out" / "plain_chat.jsonl"))
    drawn = questions.written(folder / "questions.txt") + questions.drawn(rng, DRAWN_EACH)
    return [text for text in drawn if text not in kept] + rng.sample(requests, REQUESTS)


def whole_sentences(text: str) -> str:
    """Return a text that was cut off up to its last sentence or block; "" if its lines repeat."""
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s)|\n```(?=\n)", text)]
    kept = text[: ends[-1]].strip() if ends else ""
    lines = [line for line in kept.splitlines() if line.strip()]
    is_open = kept.count("```") % 2 == 1
    return "" if is_open or len(set(lines)) < len(lines) else kept


def main() -> None:
    """Write a row a question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--questions", type=Path, help="rows whose questions are asked again")
    parser.add_argument("--all", action="store_true", help="keep all that were cut off as they are")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    quiet_libraries()
    if options.questions:
        asked = questions_of(options.questions)
    else:
        asked = asked_of(options.own, options.seed)
    loaded = load(ModelSpec(options.model))
    with LocalBackend(loaded) as backend:
        given = asyncio.run(answers(backend, loaded.name, asked, options.tokens))
    rows = []
    for question, told in zip(asked, given, strict=True):
        is_whole = options.all or told.finish_reason == "stop"
        text = told.text.strip() if is_whole else whole_sentences(told.text)
        user = {"role": "user", "content": question}
        rows += [{"messages": [user, {"role": "assistant", "content": text}]}] if text else []
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    options.out.write_text(lines, encoding="utf-8")
    print(f"{len(rows)} of {len(asked)} questions")


if __name__ == "__main__":
    main()
