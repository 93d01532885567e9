"""How often people's own sentences are understood: held-out intents, services and slots.

    python -m recipes.smollm2.evaluation --natural FOLDER --home FILE --bookings FILE
        --own recipes/smollm2/own/held_out [--model FOLDER] [--adapter FOLDER]
        [--seeds 3] [--temperature 0.7] [--no-grammar]

Every model that the playground loads can be asked. Splits are by domain, intent and service, never
by row; see `recipes.smollm2.rows`. A seed draws the cases and, above temperature 0, the answers.
Without grammar nothing but the model keeps an answer in the form of a call or of a schema.
"""

import argparse
import asyncio
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from playground.backends.local import LocalBackend
from playground.backends.local.prompt import PromptRenderer
from playground.evaluation.metrics import f1
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import (
    Answer,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolCall,
    answer,
)
from playground.runtime import quiet_libraries
from recipes.smollm2 import sentences
from recipes.smollm2.drawer import Drawer
from recipes.smollm2.rows import (
    HELD_OUT_INTENTS,
    HELD_OUT_SERVICES,
    by_intent,
    is_held_out,
    parameters_of,
)
from recipes.smollm2.sentences import ServiceCall, Wish

AT_ONCE = 8
CHAT_TOKENS = 64
"""How much of an answer to a plain question is compared with the base's."""
CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
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
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
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


def own_extraction(file: Path, rng: random.Random, count: int) -> list[Case]:
    """The project's own texts with a schema each."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    cases = []
    for row in rng.sample(rows, min(count, len(rows))):
        told = row["instruction"]
        asked = told if row["text"] in told else f"{told}\n\n{row['text']}"
        request = replace(
            _request([{"role": "user", "content": asked}], ()),
            response_format=ResponseFormat(row["schema"]),
        )
        cases.append(Case(request, _fields(row["output"])))
    return cases


def plain_chat(file: Path) -> tuple[list[Case], ...]:
    """Plain questions without functions: answered without a refusal, and as the base does.

    The second scores by token F1 with the base's greedy answer, which is in the file.
    """
    answered, alike = [], []
    for line in file.read_text(encoding="utf-8").splitlines():
        user, base = json.loads(line)["messages"]
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


@dataclass(frozen=True, slots=True)
class Asked:
    """How cases are asked: of which model, with which seed and temperature, in a grammar or not."""

    backend: LocalBackend
    model: str
    renderer: PromptRenderer
    seed: int
    temperature: float
    has_grammar: bool
    given: dict[str, Answer] = field(default_factory=dict)
    """By the request's id: some answers are scored in two ways."""

    async def answer(self, request: Request) -> Answer:
        """The answer to a request, asked once."""
        if request.id not in self.given:
            self.given[request.id] = await self._ask(request)
        return self.given[request.id]

    async def _ask(self, request: Request) -> Answer:
        """Without grammar its calls are read from what the model wrote."""
        sampling = replace(request.sampling, temperature=self.temperature, seed=self.seed)
        request = replace(request, model=self.model, sampling=sampling)
        if self.has_grammar:
            return await answer(self.backend, request)
        prompt = tuple(self.renderer.render(request).token_ids)
        bare = Request(model=self.model, prompt=prompt, sampling=sampling)
        return with_calls(await answer(self.backend, bare))


def with_calls(given: Answer) -> Answer:
    """Read calls in Hermes' form from an answer's text; what is no JSON object is no call."""
    calls = []
    for found in CALL.finditer(given.text):
        try:
            made = json.loads(found[1])
            calls.append(ToolCall("", str(made["name"]), json.dumps(dict(made["arguments"]))))
        except (ValueError, KeyError, TypeError):
            continue
    text = CALL.sub("", given.text).strip()
    return replace(given, text=text, calls=tuple(calls))


async def _score(asked: Asked, cases: Sequence[Case], shown: int) -> float:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, case: Case) -> float:
        async with gate:
            given = await asked.answer(case.request)
        points = case.score(given)
        if points < 1 and number < shown:
            calls = [(call.name, call.arguments) for call in given.calls]
            print("  missed:", case.request.messages[-1].content[:300], "→", calls, given.text)
        return points

    points = await asyncio.gather(*(one(number, case) for number, case in enumerate(cases)))
    return sum(points) / len(points)


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
        texts = own_extraction(options.own / "extraction.jsonl", rng, count)
        families["own texts, all fields"] = texts
        answered, alike = plain_chat(options.own / "plain_chat.jsonl")
        families["plain chat, no refusal"] = answered
        families["plain chat, F1 with the base"] = alike
    return families


def line_of(family: str, shares: Sequence[float], counts: Sequence[int]) -> str:
    """A family's share at each seed, and their mean."""
    told = "  ".join(f"{share:4.0%}" for share in shares)
    mean = f"  mean {sum(shares) / len(shares):4.0%}" if len(shares) > 1 else ""
    return f"{family:34}{told}{mean}  of {counts[0]}"


def measure(asked: Sequence[Asked], options: argparse.Namespace) -> None:
    """Print a line a family, a seed a column."""
    drawn = [cases_of(options, each.seed) for each in asked]
    only = options.only or [""]
    for family in [name for part in only for name in drawn[0] if part in name]:
        if options.show:
            print(family)
        shares = [
            asyncio.run(_score(each, cases[family], options.show))
            for each, cases in zip(asked, drawn, strict=True)
        ]
        print(line_of(family, shares, [len(cases[family]) for cases in drawn]), flush=True)


def main() -> None:
    """Load the model, ask, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--natural", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--bookings", type=Path, required=True)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--no-grammar", action="store_true")
    parser.add_argument("--only", nargs="+", help="families with one of these in their name")
    parser.add_argument("--show", type=int, default=0, help="of these first cases, show misses")
    options = parser.parse_args()
    quiet_libraries()
    loaded = load(ModelSpec(options.model, precision=options.precision))
    with LocalBackend(loaded) as backend:
        name = loaded.name
        if options.adapter:
            name = backend.load_adapter(options.adapter, "trained").name
        renderer = PromptRenderer(loaded.tokenizer, loaded.context_length)
        asked = [
            Asked(backend, name, renderer, seed, options.temperature, not options.no_grammar)
            for seed in range(options.seeds)
        ]
        measure(asked, options)


if __name__ == "__main__":
    main()
