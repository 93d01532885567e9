"""Rows of the twelfth run: the project's own sentences, each once, among older rows.

    python -m recipes.smollm2.twelfth --natural FOLDER --home FILE --functions FILE \\
        --own recipes/smollm2/own --older tenth.jsonl OUT

Requests to the same function stand in one row, and so do the texts of one schema: more trained
tokens for the same time. Some of their values are others. Knows no model.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from recipes.smollm2 import rows as sets
from recipes.smollm2 import sentences
from recipes.smollm2.drawer import Drawer, Row, call
from recipes.smollm2.variation import Variation, values_by_name

MORE: Final = "more"
"""The folder of own rows that no run before had."""
FORMS: Final = 300
"""Rows of labels and values."""
LONGEST_VALUE: Final = 40
MAX_CHARACTERS: Final = 1_750
"""A longer row is left out: it would be more than some 512 tokens."""
REFUSED: Final = 0.25
"""Share of rows of requests with one more that none of the functions is for."""
OLDER: Final = 700
KNOWN: Final = 0.25
"""Share of the own rows that the runs before had, too."""
MOST_IN_A_ROW: Final = 3
RECORDED: Final = 0.2
"""Share of the rows of texts in which a function is to be called with the fields."""


def grouped(rows: Sequence[Row], key: str) -> list[list[Row]]:
    """Group rows by what they have under ``key``."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[json.dumps(row[key], ensure_ascii=False)].append(row)
    return list(groups.values())


def chunks(
    rng: random.Random, rows: Sequence[Row], most: int = MOST_IN_A_ROW
) -> Iterator[list[Row]]:
    """Split into parts of one to ``most`` rows, shuffled."""
    left = rng.sample(rows, len(rows))
    while left:
        size = min(len(left), rng.choice((1, 2, 2, 3)), most)
        yield left[:size]
        left = left[size:]


def fitting(functions: Sequence[Row], beside: Sequence[Row]) -> list[Row]:
    """The first of the functions that leave a row short enough."""
    left = MAX_CHARACTERS - sum(len(json.dumps(each)) for each in beside)
    kept = []
    for function in functions:
        left -= len(json.dumps(function))
        if left > 0:
            kept.append(function)
    return kept


def request_rows(drawer: Drawer, rng: random.Random, requests: Sequence[Row]) -> Iterator[Row]:
    """Rows in which each request is asked once, beside functions that nobody asks for."""
    functions = {row["function"]["name"]: row["function"] for row in requests}
    for group in grouped(requests, "function"):
        for asked in chunks(rng, group):
            right = asked[0]["function"]
            names = rng.sample(sorted(functions), rng.choices((0, 1, 2, 3, 4), (1, 2, 3, 3, 1))[0])
            others = [functions[name] for name in names if name != right["name"]]
            others = fitting(others, [right, *asked])
            turns = [(row, False) for row in asked]
            if rng.random() < REFUSED:
                stranger = rng.choice(requests)
                if stranger["function"]["name"] not in {right["name"], *names}:
                    turns.append((stranger, True))
            rng.shuffle(turns)
            messages: list[Row] = []
            for row, is_refused in turns:
                messages.append({"role": "user", "content": row["text"]})
                made = call(right["name"], row["arguments"])
                messages += [drawer.refusal()] if is_refused else [made, drawer.result()]
            yield drawer.conversation(messages, [*others, right])


def choice_rows(drawer: Drawer, rng: random.Random, choices: Sequence[Row]) -> Iterator[Row]:
    """Rows in which each request chooses once among functions that are close."""
    for group in grouped(choices, "functions"):
        most = 1 if len(json.dumps(group[0]["functions"])) > MAX_CHARACTERS // 2 else MOST_IN_A_ROW
        for asked in chunks(rng, group, most):
            messages: list[Row] = []
            for row in asked:
                made = row["call"]
                messages.append({"role": "user", "content": row["text"]})
                if made:
                    messages += [call(made["name"], made["arguments"]), drawer.result()]
                else:
                    messages.append({"role": "assistant", "content": row["answer"]})
            yield drawer.conversation(messages, asked[0]["functions"])


def text_rows(
    drawer: Drawer, rng: random.Random, texts: Sequence[Row], requests: Sequence[Row]
) -> Iterator[Row]:
    """Rows in which each text's fields are asked for once, as JSON or as a call."""
    for group in grouped(texts, "schema"):
        if rng.random() < RECORDED:
            yield from (drawer.text_as_request(row, requests) for row in group)
            continue
        for asked in chunks(rng, group):
            first, *others = asked
            row = drawer.filled(
                first["text"], first["schema"], first["output"], sets.instruction_with_text(first)
            )
            for each in others:
                answer = json.dumps(each["output"], ensure_ascii=False)
                row["messages"] += [
                    {"role": "user", "content": sets.instruction_with_text(each)},
                    {"role": "assistant", "content": answer},
                ]
            yield row


def varied(
    variation: Variation, requests: Sequence[Row], choices: Sequence[Row], texts: Sequence[Row]
) -> tuple[list[Row], list[Row], list[Row]]:
    """The same rows with other values."""
    other_requests, other_choices, other_texts = [], [], []
    for row in requests:
        parameters = row["function"]["parameters"]
        text, values = variation.row(row["text"], row["arguments"], parameters)
        other_requests.append({**row, "text": text, "arguments": values})
    for row in choices:
        made = row["call"]
        if made:
            by_name = {each["name"]: each["parameters"] for each in row["functions"]}
            text, values = variation.row(row["text"], made["arguments"], by_name[made["name"]])
            other_choices.append({**row, "text": text, "call": {**made, "arguments": values}})
        else:
            other_choices.append(row)
    for row in texts:
        text, values = variation.row(row["text"], row["output"], row["schema"])
        instruction = row["instruction"].replace(row["text"], text)
        other_texts.append({**row, "text": text, "output": values, "instruction": instruction})
    return other_requests, other_choices, other_texts


def form_rows(
    drawer: Drawer,
    variation: Variation,
    options: argparse.Namespace,
    requests: Sequence[Row],
    rng: random.Random,
) -> Iterator[Row]:
    """Forms whose values are those of people's wishes, to be answered as JSON or as a call."""
    wishes = [*sentences.snips(options.natural), *sentences.home(options.home)]
    kept = [wish for wish in wishes if not sets.is_held_out(wish)]
    values = sorted(
        {str(value) for wish in kept for value in wish.slots.values() if str(value).strip()}
    )
    values = [value for value in values if len(value) <= LONGEST_VALUE]
    names = {name for row in requests for name in row["function"]["parameters"]["properties"]}
    labels = sorted(names)
    for _ in range(FORMS):
        text, given, schema = variation.form(labels, values)
        if rng.random() < RECORDED:
            row = {"text": text, "schema": schema, "output": given}
            yield drawer.text_as_request(row, requests)
        else:
            yield drawer.filled(text, schema, given)


def some(rng: random.Random, rows: Sequence[Row]) -> list[Row]:
    """A share of rows that are known already."""
    return rng.sample(rows, round(len(rows) * KNOWN))


def main() -> None:
    """Write the rows, shuffled."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("natural", "home", "functions", "own", "older"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    drawer = Drawer(options.seed, sets.strange_functions(options.functions))
    own = [
        some(rng, sets.lines_of(options.own / f"{name}.jsonl"))
        + sets.lines_of(options.own / MORE / f"{name}.jsonl")
        for name in ("tools", "choice", "extraction")
    ]
    requests, choices, texts = own
    given_values = [
        *(pair for row in requests for pair in row["arguments"].items()),
        *(pair for row in choices if row["call"] for pair in row["call"]["arguments"].items()),
        *(pair for row in texts for pair in row["output"].items()),
    ]
    variation = Variation(rng, values_by_name(given_values))
    requests, choices, texts = varied(variation, *own)
    rows = list(request_rows(drawer, rng, requests))
    rows += choice_rows(drawer, rng, choices)
    rows += text_rows(drawer, rng, texts, requests)
    rows += form_rows(drawer, variation, options, own[0], rng)
    rows += sets.lines_of(options.own / "system.jsonl")
    rows += rng.sample(sets.lines_of(options.older), OLDER)
    sets.write_rows(rows, options.out, rng, MAX_CHARACTERS)


if __name__ == "__main__":
    main()
