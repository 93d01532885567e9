"""How often people's own sentences are understood, by the families of `recipes.smollm2.cases`.

    python -m recipes.smollm2.evaluation --natural FOLDER --home FILE --bookings FILE
        --own recipes/smollm2/own/held_out [--model FOLDER] [--adapter FOLDER]
        [--seeds 3] [--temperature 0.7] [--no-grammar]

Every model that the playground loads can be asked. A seed draws the cases and, above temperature 0,
the answers. Without grammar nothing but the model keeps an answer in the form of a call or of a
schema.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from playground.backends.local import LocalBackend
from playground.backends.local.prompt import PromptRenderer
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Answer, Request, ToolCall, answer
from playground.runtime import quiet_libraries
from recipes.smollm2.cases import Case, cases_of

AT_ONCE = 8
CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


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
