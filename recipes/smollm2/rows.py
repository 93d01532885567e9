"""Training rows for SmolLM2 out of people's sentences: calls, refusals, extraction.

    python -m recipes.smollm2.rows --natural FOLDER --home FILE --functions FILE --own FOLDER OUT

Each row is drawn anew: names of functions in several styles, with and without descriptions,
among functions that can be confused with it. Knows no model.
"""

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from playground.backends.local.prompt import SCHEMA_TEXT
from recipes.smollm2 import sentences
from recipes.smollm2.sentences import ServiceCall, Wish

Row = dict[str, Any]
MAX_CHARACTERS = 1500
"""A longer row is left out: it would be more than some 380 tokens."""
RARE_SLOT = 4
"""A slot of fewer wishes of an intent is no parameter of its function."""
HELD_OUT_DOMAINS = frozenset({"banking", "kitchen_and_dining"})
HELD_OUT_INTENTS = frozenset({"SearchScreeningEvent", "takeaway_order", "transport_ticket"})
HELD_OUT_SERVICES = frozenset({"Restaurants_1", "Flights_2", "Music_2", "RentalCars_1"})
"""Domains, intents and services that no row is made of; the evaluation asks for these."""

UNLIKE_MEDIA = frozenset({"email", "iot", "calendar", "transport", "takeaway", "qa", "lists"})
"""Domains of the home set with no intent that one of SNIPS could be taken for."""

SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant with access to functions.",
    "Be brief.",
    "Help the user. Use the functions where they fit.",
    "You are the assistant of a small company. Never make up values.",
    "Today is Monday, 3 March.",
)
REFUSALS = (
    "None of my functions can do that.",
    "I'm sorry, I have no function for that.",
    "I can't do that with the functions I have.",
    "Sorry, that is not something my functions can help with.",
    "I have no tool that fits this request.",
)
EXTRACTIONS = (
    "Extract the data: {text}",
    "{text}",
    "Read the fields from this text.\n\n{text}",
    "Fill in the form from this message: {text}",
    "What does it say?\n{text}",
    "{text}\n\nExtract the fields as JSON.",
    'Return the values found in: "{text}"',
    "Pull the details out of the following.\n{text}",
    "Please turn this into JSON: {text}",
)


class Drawer:
    """Draws rows, seeded; ``strangers`` are functions of other programs, as distractors."""

    def __init__(self, seed: int, strangers: Sequence[Row]) -> None:
        self._random = random.Random(seed)
        self._strangers = strangers

    # -- functions ---------------------------------------------------------------------------

    def name(self, intent: str, style: str) -> str:
        """An intent's name in snake_case, camelCase or PascalCase."""
        words = _words(intent)
        if style == "snake":
            return "_".join(words)
        pascal = "".join(word.capitalize() for word in words)
        return pascal if style == "pascal" else words[0] + pascal[len(words[0]) :]

    def function(self, intent: str, style: str, slots: Iterable[str], example: str = "") -> Row:
        """A function for an intent, its slots optional parameters."""
        draw = self._random.random()
        function: Row = {"name": self.name(intent, style)}
        if draw < 0.6:
            function["description"] = " ".join(_words(intent))
        elif draw < 0.75 and example:
            function["description"] = f"For wishes such as: {example}"
        described = self._random.random() < 0.2
        properties: Row = {}
        for slot in slots:
            properties[self.name(slot, style) if style != "pascal" else slot] = (
                {"type": "string", "description": " ".join(_words(slot))}
                if described
                else {"type": "string"}
            )
        function["parameters"] = {"type": "object", "properties": properties}
        return function

    def style(self) -> str:
        """A style of names, most often snake_case."""
        return self._random.choices(("snake", "camel", "pascal"), (6, 2, 2))[0]

    def conversation(self, messages: Sequence[Row], functions: Sequence[Row], answer: Row) -> Row:
        """A row; sometimes with a system prompt."""
        told = list(messages)
        if self._random.random() < 0.2:
            told.insert(0, {"role": "system", "content": self._random.choice(SYSTEMS)})
        tools = [{"type": "function", "function": function} for function in functions]
        self._random.shuffle(tools)
        return {"messages": [*told, answer], "tools": tools}

    # -- rows --------------------------------------------------------------------------------

    def wish(
        self, wish: Wish, by_intent: dict[str, list[Wish]], slots: dict[str, list[str]]
    ) -> Row:
        """A wish with its function among others, or without it and refused."""
        style = self.style()
        near: list[str] = []
        far: list[str] = []
        for intent, wishes in by_intent.items():
            if intent != wish.intent:
                (near if wishes[0].domain == wish.domain else far).append(intent)
        count = self._random.choices((0, 1, 2, 3, 4, 5), (1, 2, 3, 6, 1, 1))[0]
        others = [
            self._random.choice(near if near and self._random.random() < 0.5 else far)
            for _ in range(count)
        ]
        is_refused = wish.intent is None or self._random.random() < 0.1
        if is_refused:
            others = [self._random.choice(far) for _ in range(max(1, count))]
        names = list(dict.fromkeys(others))
        if not is_refused and wish.intent:
            names.append(wish.intent)
        functions = [
            self.function(
                name, style, slots.get(name, []), self._random.choice(by_intent[name]).text
            )
            for name in names
        ]
        if self._strangers and self._random.random() < 0.3:
            functions.append(self._random.choice(self._strangers))
        user = {"role": "user", "content": wish.text}
        if is_refused or wish.intent is None:
            answer = {"role": "assistant", "content": self._random.choice(REFUSALS)}
            return self.conversation([user], functions, answer)
        known = slots.get(wish.intent, [])
        arguments = {
            (self.name(slot, style) if style != "pascal" else slot): wish.slots[slot]
            for slot in known
            if slot in wish.slots
        }
        return self.conversation([user], functions, call(self.name(wish.intent, style), arguments))

    def extraction(self, wish: Wish) -> Row:
        """A wish's slots as the fields of a schema that is shown to the model."""
        style = self.style()
        fields = list(wish.slots)
        self._random.shuffle(fields)
        named = {self.name(slot, style): wish.slots[slot] for slot in fields}
        schema: Row = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in named},
            "required": list(named),
        }
        return self.filled(wish.text, schema, named)

    def filled(self, text: str, schema: Row, values: Row, instruction: str = "") -> Row:
        """A row whose answer is JSON of a schema."""
        if self._random.random() < 0.5:
            schema = {**schema, "additionalProperties": False}
        shown = SCHEMA_TEXT.format(schema=json.dumps(schema, ensure_ascii=False))
        asked = instruction or self._random.choice(EXTRACTIONS).format(text=text)
        return {
            "messages": [
                {"role": "system", "content": shown},
                {"role": "user", "content": asked},
                {"role": "assistant", "content": json.dumps(values, ensure_ascii=False)},
            ]
        }

    def service(self, called: ServiceCall) -> Row:
        """A dialogue and the call that it leads to; sometimes the call's result told in words."""
        functions = [self._plainer(function) for function in called.functions]
        if self._strangers and self._random.random() < 0.3:
            functions.append(self._random.choice(self._strangers))
        made = call(str(called.call["name"]), dict(called.call["arguments"]))
        if self._random.random() < 0.15:
            result = {"role": "tool", "content": json.dumps(called.result, ensure_ascii=False)}
            told = {"role": "assistant", "content": called.answer}
            return self.conversation([*called.messages, made, result], functions, told)
        return self.conversation(called.messages, functions, made)

    def _plainer(self, function: Row) -> Row:
        """The function as it is, or without descriptions of its parameters."""
        if self._random.random() < 0.4:
            return function
        parameters = function["parameters"]
        properties = {
            name: {key: value for key, value in schema.items() if key != "description"}
            for name, schema in parameters["properties"].items()
        }
        return {**function, "parameters": {**parameters, "properties": properties}}


def call(name: str, arguments: Row) -> Row:
    """An assistant's message with one call."""
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "id": "call00000", "function": function}],
    }


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


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


def strange_functions(file: Path) -> list[Row]:
    """Read function documents that are short enough to stand beside others."""
    functions = [json.loads(line)["function"] for line in file.read_text().splitlines()]
    return [function for function in functions if len(json.dumps(function)) < 450]


def own_rows(drawer: Drawer, folder: Path, rng: random.Random) -> list[Row]:
    """Rows out of the project's own sentences; see `recipes/smollm2/own`."""
    rows = []
    tools = [json.loads(line) for line in (folder / "tools.jsonl").read_text().splitlines()]
    for row in tools:
        others = rng.choices((0, 1, 2, 3), (2, 2, 3, 4))[0]
        by_name = {each["function"]["name"]: each["function"] for each in rng.sample(tools, others)}
        by_name.pop(row["function"]["name"], None)
        user = {"role": "user", "content": row["text"]}
        answer = call(row["function"]["name"], row["arguments"])
        rows.append(drawer.conversation([user], [*by_name.values(), row["function"]], answer))
    for line in (folder / "choice.jsonl").read_text().splitlines():
        row = json.loads(line)
        user = {"role": "user", "content": row["text"]}
        made = row["call"]
        answer = (
            call(made["name"], made["arguments"])
            if made
            else {"role": "assistant", "content": row["answer"]}
        )
        rows.append(drawer.conversation([user], row["functions"], answer))
    for line in (folder / "extraction.jsonl").read_text().splitlines():
        row = json.loads(line)
        told = row["instruction"]
        asked = told if row["text"] in told else f"{told}\n\n{row['text']}"
        rows.append(drawer.filled(row["text"], row["schema"], row["output"], asked))
    rows += map(json.loads, (folder / "system.jsonl").read_text().splitlines())
    return rows


def main() -> None:
    """Write the rows, shuffled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--natural", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--functions", type=Path, required=True)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    drawer = Drawer(options.seed, strange_functions(options.functions))

    def counted(number: int) -> int:
        return round(number * float(options.scale))

    sets = {
        "clinc": (sentences.clinc(options.natural), 2600),
        "snips": (sentences.snips(options.natural), 1300),
        "home": (sentences.home(options.home), 2600),
    }
    rows: list[Row] = []
    for name, (wishes, number) in sets.items():
        kept = [wish for wish in wishes if not is_held_out(wish)]
        others = [wish for wish in sets["home"][0] if wish.domain in UNLIKE_MEDIA]
        rows += wish_rows(drawer, kept, others if name == "snips" else (), counted(number), rng)
        if name != "clinc":
            slotted = [wish for wish in kept if wish.slots]
            rows += [drawer.extraction(rng.choice(slotted)) for _ in range(counted(800))]
    calls = sentences.services(options.natural)
    kept_calls = [each for each in calls if each.service not in HELD_OUT_SERVICES]
    rows += [drawer.service(rng.choice(kept_calls)) for _ in range(counted(1900))]
    if options.own:
        rows += own_rows(drawer, options.own, rng)
    rows = [row for row in rows if len(json.dumps(row, ensure_ascii=False)) <= MAX_CHARACTERS]
    rng.shuffle(rows)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    options.out.write_text(text, encoding="utf-8")
    print(f"{len(rows):,} rows")


if __name__ == "__main__":
    main()
