"""Cases of people's own sentences, and how an answer to each scores: held-out intents, services and
slots, and the project's own held-out rows. Knows no model.

Splits are by domain, intent and service, never by row; see `recipes.smollm2.rows`.
"""

import argparse
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from playground.evaluation.metrics import f1
from playground.protocol import Answer, Message, Request, ResponseFormat, Sampling, Tool
from recipes.smollm2 import sentences
from recipes.smollm2.drawer import Drawer
from recipes.smollm2.rows import (
    HELD_OUT_INTENTS,
    HELD_OUT_SERVICES,
    by_intent,
    instruction_with_text,
    is_held_out,
    lines_of,
    parameters_of,
)
from recipes.smollm2.sentences import ServiceCall, Wish

CHAT_TOKENS = 64
"""How much of an answer to a plain question is compared with the base's."""
REFUSAL = re.compile(
    r"(none of|something) my (functions|tools)|have no (function|tool)|the functions I have"
    r"|there is no function|my functions are for",
    re.IGNORECASE,
)
"""What the rows' refusals have in common; see `recipes.smollm2.drawer.REFUSALS`."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request and how its answer scores, 0 to 1."""

    request: Request
    score: Callable[[Answer], float]


def _request(messages: Sequence[dict[str, Any]], functions: Sequence[dict[str, Any]]) -> Request:
    return Request(
        model="",
        messages=tuple(Message(each["role"], each["content"]) for each in messages),
        tools=tuple(
            Tool(each["name"], each.get("description", ""), each["parameters"])
            for each in functions
        ),
        sampling=Sampling(temperature=0.0, max_tokens=200),
    )


def _named(name: str) -> Callable[[Answer], float]:
    return lambda given: float([call.name for call in given.calls] == [name])


def _arguments(given: Answer) -> dict[str, Any]:
    return json.loads(given.calls[0].arguments) if given.calls else {}


def _all_right(name: str, expected: dict[str, Any]) -> Callable[[Answer], float]:
    def score(given: Answer) -> float:
        return float(_named(name)(given) == 1.0 and _folded(_arguments(given)) == _folded(expected))

    return score


def _folded(values: dict[str, Any]) -> set[tuple[str, str]]:
    return {(name, str(value).casefold().strip()) for name, value in values.items()}


def _slot_f1(expected: dict[str, Any]) -> Callable[[Answer], float]:
    def score(given: Answer) -> float:
        found, right = _folded(_arguments(given)), _folded(expected)
        if not found and not right:
            return 1.0
        return 2 * len(found & right) / (len(found) + len(right))

    return score


def _fields(expected: dict[str, Any]) -> Callable[[Answer], float]:
    def score(given: Answer) -> float:
        try:
            return float(_folded(json.loads(given.text)) == _folded(expected))
        except (ValueError, AttributeError):
            return 0.0

    return score


def _refused(given: Answer) -> float:
    return float(not given.calls and bool(given.text.strip()))


def intents(wishes: Sequence[Wish], rng: random.Random, count: int) -> list[Case]:
    """One of four intents of held-out domains."""
    groups = by_intent([wish for wish in wishes if is_held_out(wish)])
    drawer = Drawer(rng.randrange(10**6), ())
    cases = []
    for _ in range(count):
        names = rng.sample(sorted(groups), 4)
        functions = [drawer.function(name, "snake", ()) for name in names]
        wish = rng.choice(groups[names[0]])
        rng.shuffle(functions)
        user = {"role": "user", "content": wish.text}
        cases.append(Case(_request([user], functions), _named(names[0])))
    return cases


def refusals(wishes: Sequence[Wish], rng: random.Random, count: int) -> list[Case]:
    """A wish of one held-out domain and functions of the other: none fits."""
    groups = by_intent([wish for wish in wishes if is_held_out(wish)])
    drawer = Drawer(rng.randrange(10**6), ())
    cases = []
    for _ in range(count):
        wish = rng.choice(groups[rng.choice(sorted(groups))])
        others = [name for name, each in sorted(groups.items()) if each[0].domain != wish.domain]
        functions = [drawer.function(name, "snake", ()) for name in rng.sample(others, 3)]
        user = {"role": "user", "content": wish.text}
        cases.append(Case(_request([user], functions), _refused))
    return cases


def slots(wishes: Sequence[Wish], rng: random.Random, count: int) -> list[Case]:
    """The slots of intents that were never trained; one function."""
    parameters = parameters_of(wishes)
    drawer = Drawer(rng.randrange(10**6), ())
    cases = []
    for wish in rng.sample(wishes, count):
        function = drawer.function(str(wish.intent), "snake", parameters[str(wish.intent)])
        user = {"role": "user", "content": wish.text}
        known = {k: v for k, v in wish.slots.items() if k in parameters[str(wish.intent)]}
        expected = {drawer.name(name, "snake"): value for name, value in known.items()}
        cases.append(Case(_request([user], [function]), _slot_f1(expected)))
    return cases


def extraction(wishes: Sequence[Wish], rng: random.Random, count: int) -> list[Case]:
    """The slots of intents that were never trained as the fields of a schema."""
    told = [wish for wish in wishes if wish.slots]
    cases = []
    for wish in rng.sample(told, count):
        schema = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in wish.slots},
            "required": list(wish.slots),
            "additionalProperties": False,
        }
        message = {"role": "user", "content": f"Extract the data: {wish.text}"}
        request = replace(_request([message], ()), response_format=ResponseFormat(schema))
        cases.append(Case(request, _fields(wish.slots)))
    return cases


def services(
    calls: Sequence[ServiceCall], rng: random.Random, count: int
) -> tuple[list[Case], ...]:
    """Calls of held-out services: the function's name, and all arguments."""
    held_out = [call for call in calls if call.service in HELD_OUT_SERVICES]
    names, whole = [], []
    for each in rng.sample(held_out, count):
        request = _request(each.messages, each.functions)
        name = str(each.call["name"])
        names.append(Case(request, _named(name)))
        whole.append(Case(request, _all_right(name, dict(each.call["arguments"]))))
    return names, whole


def own_tools(file: Path, rng: random.Random, count: int) -> tuple[list[Case], ...]:
    """The project's own requests, each with three functions of others beside it."""
    rows = lines_of(file)
    names, whole = [], []
    for row in rng.sample(rows, min(count, len(rows))):
        right = row["function"]
        by_name = {each["function"]["name"]: each["function"] for each in rng.sample(rows, 3)}
        functions = list((by_name | {right["name"]: right}).values())
        rng.shuffle(functions)
        request = _request([{"role": "user", "content": row["text"]}], functions)
        names.append(Case(request, _named(right["name"])))
        whole.append(Case(request, _all_right(right["name"], row["arguments"])))
    return names, whole


def own_choices(file: Path, rng: random.Random, count: int) -> list[Case]:
    """The project's own requests among functions that are close: the name, or none fits."""
    rows = lines_of(file)
    cases = []
    for row in rng.sample(rows, min(count, len(rows))):
        request = _request([{"role": "user", "content": row["text"]}], row["functions"])
        right = row["call"]["name"] if row["call"] else None
        cases.append(Case(request, _named(right) if right else _refused))
    return cases


def own_extraction(file: Path, rng: random.Random, count: int) -> list[Case]:
    """The project's own texts with a schema each."""
    rows = lines_of(file)
    cases = []
    for row in rng.sample(rows, min(count, len(rows))):
        request = replace(
            _request([{"role": "user", "content": instruction_with_text(row)}], ()),
            response_format=ResponseFormat(row["schema"]),
        )
        cases.append(Case(request, _fields(row["output"])))
    return cases


def plain_chat(file: Path) -> tuple[list[Case], ...]:
    """Plain questions without functions: answered without a refusal, and as the base does.

    The second scores by token F1 with the base's greedy answer, which is in the file.
    """
    answered, alike = [], []
    for row in lines_of(file):
        user, base = row["messages"]
        request = _request([user], ())
        request = replace(request, sampling=replace(request.sampling, max_tokens=CHAT_TOKENS))
        answered.append(Case(request, lambda given: float(not is_refusal(given.text))))
        alike.append(Case(request, _like(base["content"])))
    return answered, alike


def _like(wanted: str) -> Callable[[Answer], float]:
    return lambda given: f1(given.text, wanted)


def is_refusal(text: str) -> bool:
    """Whether an answer says that no function fits, or says nothing."""
    return not text.strip() or bool(REFUSAL.search(text))


def cases_of(options: argparse.Namespace, seed: int) -> dict[str, list[Case]]:
    """All families of cases, drawn from the seed."""
    rng = random.Random(seed)
    count = options.count
    clinc = sentences.clinc(options.natural)
    home = [wish for wish in sentences.home(options.home) if wish.intent in HELD_OUT_INTENTS]
    booked = sentences.bookings(options.bookings)
    named, whole = services(sentences.services(options.natural), rng, count)
    families = {
        "intent, 1 of 4": intents(clinc, rng, count),
        "no function fits": refusals(clinc, rng, count),
        "slots, F1 (bookings)": slots(booked, rng, count),
        "slots, F1 (home)": slots(home, rng, count),
        "extraction, all fields (bookings)": extraction(booked, rng, count),
        "extraction, all fields (home)": extraction(home, rng, count),
        "service, name": named,
        "service, all arguments": whole,
    }
    if options.own:
        names, all_right = own_tools(options.own / "tools.jsonl", rng, count)
        families["own requests, name"] = names
        families["own requests, all arguments"] = all_right
        families["own choices"] = own_choices(options.own / "choice.jsonl", rng, count)
        texts = own_extraction(options.own / "extraction.jsonl", rng, count)
        families["own texts, all fields"] = texts
        plain = options.own / "plain_chat.jsonl"
        if plain.exists():
            answered, alike = plain_chat(plain)
            families["plain chat, no refusal"] = answered
            families["plain chat, F1 with the base"] = alike
    return families
