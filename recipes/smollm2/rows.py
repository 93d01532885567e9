"""Training rows for SmolLM2 out of people's sentences: calls, refusals, extraction.

    python -m recipes.smollm2.rows --natural FOLDER --home FILE --functions FILE --own FOLDER OUT
    python -m recipes.smollm2.rows … --scale 0.2 --own-share 0.5 --own-sessions 300 --chat FILE OUT

How often each set is drawn from, and what of it is kept for the evaluation. Knows no model.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from recipes.smollm2 import sentences
from recipes.smollm2.drawer import Drawer, Row, call
from recipes.smollm2.questions import written
from recipes.smollm2.sentences import Wish
from recipes.smollm2.texts import text_with_fields

MAX_CHARACTERS = 1500
"""A longer row is left out: it would be more than some 380 tokens."""
SERVICE_ROWS = 800
OWN_SESSIONS = 1100
SWAPPED = 200
"""Own requests asked for as fields of a text, and own texts that are the arguments of a call."""
RARE_SLOT = 4
"""A slot of fewer wishes of an intent is no parameter of its function."""
HELD_OUT_DOMAINS = frozenset({"banking", "kitchen_and_dining"})
HELD_OUT_INTENTS = frozenset({"takeaway_order", "transport_ticket"})
HELD_OUT_SERVICES = frozenset({"Restaurants_1", "Flights_2", "Music_2", "RentalCars_1"})
"""Domains, intents and services that no row is made of; the evaluation asks for these."""

UNLIKE_MEDIA = frozenset({"email", "iot", "calendar", "transport", "takeaway", "qa", "lists"})
"""Domains of the home set with no intent that one of SNIPS could be taken for."""


def parameters_of(wishes: Iterable[Wish]) -> dict[str, list[str]]:
    """Return each intent's slots that are not rare."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for wish in wishes:
        for slot in wish.slots:
            counts[str(wish.intent)][slot] += 1
    return {
        intent: sorted(slot for slot, count in slots.items() if count >= RARE_SLOT)
        for intent, slots in counts.items()
    }


def by_intent(wishes: Iterable[Wish]) -> dict[str, list[Wish]]:
    """Group wishes by their intent; those of no intent are left out."""
    groups: dict[str, list[Wish]] = defaultdict(list)
    for wish in wishes:
        if wish.intent:
            groups[wish.intent].append(wish)
    return dict(groups)


def is_held_out(wish: Wish) -> bool:
    """Whether a wish is for the evaluation only."""
    return wish.domain in HELD_OUT_DOMAINS or wish.intent in HELD_OUT_INTENTS


def wish_rows(
    drawer: Drawer, wishes: Sequence[Wish], others: Sequence[Wish], count: int, rng: random.Random
) -> list[Row]:
    """Draw rows of wishes, each intent about as often; ``others`` are distractors' wishes."""
    groups = by_intent(wishes)
    slots = parameters_of([*wishes, *others])
    confused = groups | by_intent(others)
    nowhere = [wish for wish in wishes if wish.intent is None]
    rows = []
    for _ in range(count):
        wish = rng.choice(groups[rng.choice(list(groups))])
        if nowhere and rng.random() < 0.05:
            wish = rng.choice(nowhere)
        rows.append(drawer.wish(wish, confused, slots))
    return rows


def sessions(
    drawer: Drawer, wishes: Sequence[Wish], others: Sequence[Wish], count: int
) -> list[Row]:
    """Draw rows of several wishes each; ``others`` are asked for, too."""
    groups = by_intent([*wishes, *others])
    slots = parameters_of([*wishes, *others])
    return [drawer.session(groups, slots) for _ in range(count)]


def extractions(
    drawer: Drawer, wishes: Sequence[Wish], count: int, rng: random.Random
) -> list[Row]:
    """Draw rows of one to three texts with the same schema, each set of slots about as often."""
    groups: dict[tuple[str, ...], list[Wish]] = defaultdict(list)
    for wish in wishes:
        if wish.slots:
            groups[(str(wish.intent), *sorted(wish.slots))].append(wish)
    rows = []
    weights = [len(group) ** 0.5 * len(names) for names, group in groups.items()]
    for group in rng.choices(list(groups.values()), weights, k=count):
        rows.append(drawer.extraction(rng.sample(group, min(len(group), rng.choice((1, 2, 3))))))
    return rows


def strange_functions(file: Path) -> list[Row]:
    """Read function documents that are short enough to stand beside others."""
    functions = [json.loads(line)["function"] for line in file.read_text().splitlines()]
    return [function for function in functions if len(json.dumps(function)) < 450]


def lines_of(file: Path) -> list[Row]:
    """Read JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_rows(rows: Sequence[Row], out: Path, rng: random.Random, most: int) -> None:
    """Write rows as JSON lines, shuffled, without those of more than ``most`` characters."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines = [line for line in lines if len(line) <= most]
    rng.shuffle(lines)
    out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines):,} rows, {len(rows) - len(lines):,} too long")


def instruction_with_text(row: Row) -> str:
    """The message that gives an own text: its instruction, and the text unless that has it."""
    instruction, text = str(row["instruction"]), str(row["text"])
    return instruction if text in instruction else f"{instruction}\n\n{text}"


def own_rows(
    drawer: Drawer, folder: Path, rng: random.Random, session_count: int = OWN_SESSIONS
) -> list[Row]:
    """Rows out of the project's own sentences; see `recipes/smollm2/own`."""
    rows = []
    tools = lines_of(folder / "tools.jsonl")
    for row in tools:
        others = rng.choices((0, 1, 2, 3), (2, 2, 3, 4))[0]
        by_name = {each["function"]["name"]: each["function"] for each in rng.sample(tools, others)}
        by_name.pop(row["function"]["name"], None)
        user = {"role": "user", "content": row["text"]}
        answer = call(row["function"]["name"], row["arguments"])
        rows.append(drawer.conversation([user, answer], [*by_name.values(), row["function"]]))
    rows += [drawer.own_session(tools) for _ in range(session_count)]
    rows += [drawer.request_as_text(row) for row in rng.sample(tools, SWAPPED) if row["arguments"]]
    for row in lines_of(folder / "choice.jsonl"):
        user = {"role": "user", "content": row["text"]}
        made = row["call"]
        answer = (
            call(made["name"], made["arguments"])
            if made
            else {"role": "assistant", "content": row["answer"]}
        )
        rows.append(drawer.conversation([user, answer], row["functions"]))
    texts = lines_of(folder / "extraction.jsonl")
    rows += [drawer.text_as_request(row, tools) for row in rng.sample(texts, SWAPPED)]
    for row in texts:
        asked = instruction_with_text(row)
        rows.append(drawer.filled(row["text"], row["schema"], row["output"], asked))
    return rows + lines_of(folder / "system.jsonl")


def chat_rows(drawer: Drawer, file: Path, folder: Path, rng: random.Random) -> list[Row]:
    """Plain questions with the base's answers, some a second time beside functions.

    Without functions the answers are to stay as they were, also to requests that a function would
    be called for.
    """
    rows = lines_of(file)
    functions = [row["function"] for row in lines_of(folder / "tools.jsonl")]
    questions = set(written(folder / "questions.txt"))
    general = [row for row in rows if row["messages"][0]["content"] in questions]
    beside = [
        drawer.conversation(row["messages"], rng.sample(functions, rng.choice((1, 2, 3))))
        for row in rng.sample(general, len(general) // 3)
    ]
    return rows + beside


def drawn_texts(
    drawer: Drawer, requests: Sequence[Row], count: int, rng: random.Random
) -> list[Row]:
    """Rows of drawn texts: of three, two are to be JSON and one a call."""
    rows = []
    for number in range(count):
        text, values, types = text_with_fields(rng)
        names = {name: drawer.name(name, "camel") for name in values}
        if rng.random() < 0.7:
            names = {name: name for name in values}
        row: Row = {
            "text": text,
            "schema": {
                "type": "object",
                "properties": {names[name]: {"type": kind} for name, kind in types.items()},
                "required": list(names.values()),
            },
            "output": {names[name]: value for name, value in values.items()},
        }
        if number % 3:
            rows.append(drawer.filled(text, row["schema"], row["output"]))
        else:
            rows.append(drawer.text_as_request(row, requests))
    return rows


def public_rows(drawer: Drawer, options: argparse.Namespace, rng: random.Random) -> list[Row]:
    """Rows out of the public sets, ``scale`` times as many as the first stages had."""

    def counted(number: int) -> int:
        return round(number * float(options.scale))

    sets = {
        "clinc": (sentences.clinc(options.natural), 250, 700, 0),
        "snips": (sentences.snips(options.natural), 150, 350, 250),
        "home": (sentences.home(options.home), 300, 800, 350),
    }
    rows: list[Row] = []
    for name, (wishes, single, several, texts) in sets.items():
        kept = [wish for wish in wishes if not is_held_out(wish)]
        others = [wish for wish in sets["home"][0] if wish.domain in UNLIKE_MEDIA]
        added = others if name == "snips" else ()
        rows += wish_rows(drawer, kept, added, counted(single), rng)
        rows += sessions(drawer, kept, added, counted(several))
        rows += extractions(drawer, kept, counted(texts), rng) if texts else []
    calls = sentences.services(options.natural)
    kept_calls = [each for each in calls if each.service not in HELD_OUT_SERVICES]
    return rows + [drawer.service(rng.choice(kept_calls)) for _ in range(counted(SERVICE_ROWS))]


def main() -> None:
    """Write the rows, shuffled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--natural", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--functions", type=Path, required=True)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--own-share", type=float, default=1.0)
    parser.add_argument("--own-sessions", type=int, default=OWN_SESSIONS)
    parser.add_argument("--chat", type=Path, help="rows of recipes.smollm2.chat; needs --own")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    drawer = Drawer(options.seed, strange_functions(options.functions))
    rows = public_rows(drawer, options, rng)
    if options.own:
        own = own_rows(drawer, options.own, rng, options.own_sessions)
        rows += rng.sample(own, round(len(own) * options.own_share))
    if options.chat:
        rows += chat_rows(drawer, options.chat, options.own, rng)
    write_rows(rows, options.out, rng, MAX_CHARACTERS)


if __name__ == "__main__":
    main()
