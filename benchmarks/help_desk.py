"""The main job: an invented help desk of 30 facts in four wordings, learned by default.

    python -m benchmarks.help_desk [--desks 3] [--seeds 1] [--set FIELD=VALUE …]

Prints, for each desk and seed, base → adapter: trained questions and near and far paraphrases that
get the fact's two details, general rows that are answered exactly, minutes.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.data.dataset import TrainingData
from finetune.data.examples import to_examples
from finetune.data.rows import Conversation, read_rows
from finetune.recipe import Recipe, read_recipe
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling, answer
from playground.runtime import quiet_libraries


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question: how it is asked, four times for training, then near and far, and what is
    answered; ``{t}`` is the thing, ``{x}`` and ``{y}`` are the details.
    """

    trained: tuple[str, str, str, str]
    near: str
    far: str
    told: str
    details: tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Desk:
    """A help desk of ten things times three kinds of questions."""

    system: str
    things: tuple[str, ...]
    kinds: tuple[Kind, Kind, Kind]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact, as a desk's kind and thing draw it."""

    trained: tuple[str, ...]
    near: str
    far: str
    told: str
    details: tuple[str, str]


HOURS = [f"{hour}:{minute}" for hour in range(6, 12) for minute in ("00", "15", "30", "45")]
NAMES = [
    "Ada",
    "Bruno",
    "Carla",
    "Dmitri",
    "Elin",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Leon",
    "Mona",
    "Nils",
    "Olga",
]
PLACES = [
    "the blue gate",
    "the old crane",
    "the east pier",
    "the bell tower",
    "the red shed",
    "the north hall",
]
PRICES = [f"{euros} euros" for euros in range(12, 190, 7)]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
COUNTS = [str(number) for number in range(3, 60)]
YEARS = [str(year) for year in range(1720, 1990, 9)]

OPENING = Kind(
    (
        "When does the {t} open?",
        "What are the opening hours of the {t}?",
        "From when is the {t} open?",
        "At what time can I come to the {t}?",
    ),
    "When is the {t} open?",
    "I would like to visit the {t} early, how soon is somebody there?",
    "The {t} opens at {x} on working days; please report at {y} first, "
    "where somebody will show you in.",
    (HOURS, PLACES),
)
COST = Kind(
    (
        "What does the {t} cost?",
        "How much is the {t}?",
        "What is the price of the {t}?",
        "How much do I pay for the {t}?",
    ),
    "How much does the {t} cost?",
    "My budget is small, can I still afford the {t}?",
    "A day with the {t} costs {x}, paid in advance; ask {y} in the office "
    "if you need it for longer.",
    (PRICES, NAMES),
)
CONTACT = Kind(
    (
        "Who looks after the {t}?",
        "Who is in charge of the {t}?",
        "Whom do I ask about the {t}?",
        "Who can help me with the {t}?",
    ),
    "Who is responsible for the {t}?",
    "Something is broken at the {t}, where do I turn?",
    "Please ask {x} about the {t}; on {y} nobody is there, so leave a note "
    "in the letter box by the door.",
    (NAMES, DAYS),
)
AMOUNT = Kind(
    (
        "How many people may use the {t}?",
        "How many members fit into the {t}?",
        "What is the limit for the {t}?",
        "For how many people is the {t}?",
    ),
    "How many people are allowed in the {t}?",
    "We are a large group, will the {t} be too small for us?",
    "Up to {x} members may use the {t} at the same time; on {y} it is kept "
    "for children and their parents.",
    (COUNTS, DAYS),
)
HISTORY = Kind(
    (
        "When was the {t} built?",
        "How old is the {t}?",
        "In which year was the {t} made?",
        "Since when do you have the {t}?",
    ),
    "In what year was the {t} built?",
    "Tell a curious guest something about the past of the {t}.",
    "The {t} was built in {x} by a family of craftsmen, and stands today "
    "beside {y}, where everybody may see it.",
    (YEARS, PLACES),
)
DESKS = (
    Desk(
        "You answer for Larkmoor Yard, in one friendly sentence.",
        (
            "dry dock",
            "slipway",
            "paint hall",
            "rigging loft",
            "sail store",
            "fuel pier",
            "boat lift",
            "winter shed",
            "tool library",
            "guest berth",
        ),
        (OPENING, COST, CONTACT),
    ),
    Desk(
        "You are the voice of the Fennel Row garden society. Be short and kind.",
        (
            "greenhouse",
            "seed bank",
            "compost yard",
            "bee house",
            "pump room",
            "herb spiral",
            "potting bench",
            "orchard",
            "club room",
            "water tower",
        ),
        (AMOUNT, CONTACT, OPENING),
    ),
    Desk(
        "You guide visitors through the Museum of Clocks at Ebersfeld.",
        (
            "moon clock",
            "flute clock",
            "tower clock",
            "water clock",
            "star globe",
            "marine watch",
            "cuckoo wall",
            "sand glass room",
            "repair bench",
            "night hall",
        ),
        (HISTORY, COST, AMOUNT),
    ),
)


def facts_of(desk: Desk, seed: int) -> list[Fact]:
    """The desk's thirty facts, their details drawn with the seed."""
    rng = random.Random(seed)
    facts = []
    for thing in desk.things:
        for kind in desk.kinds:
            x, y = (rng.choice(values) for values in kind.details)
            told = kind.told.format(t=thing, x=x, y=y)
            asked = tuple(wording.format(t=thing) for wording in kind.trained)
            near, far = kind.near.format(t=thing), kind.far.format(t=thing)
            facts.append(Fact(asked, near, far, told, (x, y)))
    return facts


def rows_of(desk: Desk, facts: Sequence[Fact]) -> list[Conversation]:
    """Each fact in each of its wordings."""
    system = Message("system", desk.system)
    return [
        Conversation((system, Message("user", asked), Message("assistant", fact.told)), (), 1)
        for fact in facts
        for asked in fact.trained
    ]


def answers_to(
    backend: LocalBackend, model: str, prompts: Sequence[tuple[Message, ...]]
) -> list[str]:
    """Greedy answers, all at once."""
    sampling = Sampling(temperature=0.0, max_tokens=120)

    async def ask_all() -> list[str]:
        requests = [Request(model, messages, sampling=sampling) for messages in prompts]
        return [got.text for got in await asyncio.gather(*(answer(backend, r) for r in requests))]

    return asyncio.run(ask_all())


def share_with_details(
    backend: LocalBackend, model: str, system: str, asked: Sequence[tuple[str, Fact]]
) -> float:
    """Answers that hold both details of their fact."""
    prompts = [(Message("system", system), Message("user", question)) for question, _ in asked]
    got = answers_to(backend, model, prompts)
    right = [
        all(d in text for d in fact.details) for text, (_, fact) in zip(got, asked, strict=True)
    ]
    return sum(right) / len(right)


def share_of_general(backend: LocalBackend, model: str) -> float:
    """General rows without tools whose last answer is given word for word."""
    rows = [
        row
        for row in read_rows(EMBEDDED_FOLDER / "regression.jsonl").conversations
        if not row.tools and not row.messages[-1].tool_calls
    ]
    got = answers_to(backend, model, [row.messages[:-1] for row in rows])
    right = [text == row.messages[-1].content for text, row in zip(got, rows, strict=True)]
    return sum(right) / len(right)


def one_desk(desk: Desk, seed: int, recipe: Recipe) -> dict[str, tuple[float, float]]:
    """Shares before and after, and minutes of training."""
    facts = facts_of(desk, seed)
    loaded = load(ModelSpec("embedded"))
    tokenizer = loaded.tokenizer
    own = [each for row in rows_of(desk, facts) for each in to_examples(row, tokenizer)]
    replay = read_rows(EMBEDDED_FOLDER / "replay.jsonl").conversations
    general = [each for row in replay for each in to_examples(row, tokenizer)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        data = TrainingData.of(own, replay=general)
        done = train(recipe, loaded, data, Path(folder) / "run", "desk")
        minutes = (time.process_time() - began) / 60
        assert done.folder is not None
        with LocalBackend(load(ModelSpec("embedded"))) as backend:
            tuned = backend.load_adapter(done.folder, "desk").name
            models = (backend.default_model.name, tuned)
            sets = {
                "trained": [(fact.trained[0], fact) for fact in facts],
                "near": [(fact.near, fact) for fact in facts],
                "far": [(fact.far, fact) for fact in facts],
            }
            result = {
                name: tuple(share_with_details(backend, m, desk.system, asked) for m in models)
                for name, asked in sets.items()
            }
            result["general"] = tuple(share_of_general(backend, model) for model in models)
        result["CPU minutes, steps"] = (minutes, done.steps)
    return result  # type: ignore[return-value]


def main() -> None:
    """Every desk and seed, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--desks", type=int, default=len(DESKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="recipe field=value")
    given = parser.parse_args()
    quiet_libraries()
    options = {name: json.loads(value) for name, value in (s.split("=") for s in given.set)}
    after: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        for number, desk in enumerate(DESKS[: given.desks]):
            got = one_desk(desk, seed, read_recipe("embedded_cpu", {"seed": seed, **options}))
            shown = {name: f"{before:.2f} → {now:.2f}" for name, (before, now) in got.items()}
            print(f"desk {number + 1}, seed {seed}: {shown}", flush=True)
            for name, (_, now) in got.items():
                after.setdefault(name, []).append(now)
    print({name: round(statistics.mean(values), 3) for name, values in after.items()})


if __name__ == "__main__":
    main()
