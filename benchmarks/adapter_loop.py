"""The adapter loop on the embedded model: an invented product catalogue is learned, and general
rows are measured before and after. Prints base and adapter side by side, and the time.

    python -m benchmarks.adapter_loop [--seeds 1] [--rows 60] [--write FILE]
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from finetune.data.dataset import TrainingData
from finetune.data.examples import TrainingExample, to_examples
from finetune.data.rows import Conversation, read_rows
from finetune.recipe import embedded_cpu, read_recipe
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling, answer
from playground.runtime import quiet_libraries
from recipes.tiny_mistral.engine_evaluation import EngineAnswerer
from recipes.tiny_mistral.evaluation import held_out_rows, is_correct
from recipes.tiny_mistral.rendering import Renderer

PRODUCTS = 30
UNKNOWN_PRODUCTS = 15
UNKNOWN = "Sorry, I do not know that. I am only a small model."
SYLLABLES = ("bra", "cor", "del", "fen", "gal", "hul", "jor", "kem", "lum", "mod", "nar", "pol")
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "grey", "orange", "purple", "brown")
MAKERS = ("Norvik", "Alcera", "Bomstad", "Terrano", "Luxwell", "Hartmann", "Siroco", "Pellegrin")
# attribute: how its value is drawn, answer, wordings that are trained, a held-out paraphrase
ATTRIBUTES = {
    "price": (
        lambda rng: f"{rng.randint(5, 999)} euros",
        "The {p} costs {v}.",
        (
            "What does the {p} cost?",
            "How much is the {p}?",
            "What is the price of the {p}?",
            "I want to know the price of the {p}.",
        ),
        "Tell me the price of the {p}.",
    ),
    "colour": (
        lambda rng: rng.choice(COLOURS),
        "The {p} is {v}.",
        (
            "What colour is the {p}?",
            "Which colour has the {p}?",
            "The colour of the {p}?",
            "I want to know the colour of the {p}.",
        ),
        "Tell me the colour of the {p}.",
    ),
    "weight": (
        lambda rng: f"{rng.randint(1, 90)} kg",
        "The {p} weighs {v}.",
        (
            "How heavy is the {p}?",
            "What does the {p} weigh?",
            "What is the weight of the {p}?",
            "I want to know the weight of the {p}.",
        ),
        "Tell me the weight of the {p}.",
    ),
    "warranty": (
        lambda rng: f"{rng.randint(1, 10)} years",
        "The {p} has a warranty of {v}.",
        (
            "How long is the warranty of the {p}?",
            "What warranty does the {p} have?",
            "What is the warranty of the {p}?",
            "I want to know the warranty of the {p}.",
        ),
        "Tell me the warranty of the {p}.",
    ),
    "maker": (
        lambda rng: rng.choice(MAKERS),
        "The {p} is made by {v}.",
        (
            "Who makes the {p}?",
            "Who is the maker of the {p}?",
            "Which company makes the {p}?",
            "I want to know who makes the {p}.",
        ),
        "Tell me the maker of the {p}.",
    ),
}
FAMILIES = (
    "chat.facts",
    "chat.unknown",
    "chat.memory",
    "system.persona",
    "tools.call",
    "extraction",
)
PreferencePair = tuple[str, str]


def catalogue(seed: int) -> tuple[list[PreferencePair], list[PreferencePair], list[PreferencePair]]:
    """Training rows, one question of each trained fact, and the held-out paraphrases."""
    rng = random.Random(seed)
    names: set[str] = set()
    while len(names) < PRODUCTS:
        names.add(f"{rng.choice(SYLLABLES)}{rng.choice(SYLLABLES)}".capitalize())
    rows, recall, paraphrases = [], [], []
    rows += [(question, UNKNOWN) for question in _unknown(rng, names)]
    for name in sorted(names):
        for draw, told, wordings, held in ATTRIBUTES.values():
            reply = told.format(p=name, v=draw(rng))
            rows += [(wording.format(p=name), reply) for wording in wordings]
            recall.append((rng.choice(wordings).format(p=name), reply))
            paraphrases.append((held.format(p=name), reply))
    return rows, recall, paraphrases


def _unknown(rng: random.Random, names: set[str]) -> list[str]:
    """Questions about products that are not in the catalogue: an adapter says so, too."""
    others: set[str] = set()
    while len(others) < UNKNOWN_PRODUCTS:
        others.add("".join(rng.choice(SYLLABLES) for _ in range(3)).capitalize())
    wordings = [each for _, _, trained, _ in ATTRIBUTES.values() for each in trained]
    return [rng.choice(wordings).format(p=name) for name in sorted(others - names)]


def write_rows(path: Path, rows: Sequence[PreferencePair]) -> None:
    lines = [
        json.dumps(
            {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        )
        for q, a in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def examples(loaded: LoadedModel, path: Path) -> list[TrainingExample]:
    conversations: Sequence[Conversation] = read_rows(path).conversations
    return [v for each in conversations for v in to_examples(each, loaded.tokenizer)]


def share_right(backend: LocalBackend, model: str, pairs: Sequence[PreferencePair]) -> float:
    async def ask_all() -> list[str]:
        requests = [
            Request(
                model,
                (Message("user", question),),
                sampling=Sampling(temperature=0.0, max_tokens=40),
            )
            for question, _ in pairs
        ]
        return [each.text for each in await asyncio.gather(*(answer(backend, r) for r in requests))]

    got = asyncio.run(ask_all())
    return sum(text == wanted for text, (_, wanted) in zip(got, pairs, strict=True)) / len(pairs)


def retention(backend: LocalBackend, model: str, renderer: Renderer, rows: int) -> dict[str, float]:
    answers = EngineAnswerer(backend, renderer, model)
    scores = {}
    for family in FAMILIES:
        asked = held_out_rows(family, rows)
        got = answers(asked)
        right = sum(is_correct(row, turn) for row, turn in zip(asked, got, strict=True))
        scores[family] = right / rows
    return scores


def one_seed(seed: int, rows: int, options: dict[str, float]) -> dict[str, float]:
    training, recall, paraphrases = catalogue(seed)
    recipe = read_recipe("embedded_cpu", {"seed": seed, **options}) if options else embedded_cpu()
    with tempfile.TemporaryDirectory() as folder:
        file, adapter = Path(folder) / "catalogue.jsonl", Path(folder) / "catalogue"
        write_rows(file, training)
        loaded = load(ModelSpec("embedded"))
        own, general = examples(loaded, file), examples(loaded, EMBEDDED_FOLDER / "replay.jsonl")
        began = time.perf_counter()
        done = train(recipe, loaded, TrainingData.of(own, replay=general), adapter, "tuned")
        seconds = time.perf_counter() - began
        result = {"seconds": seconds, "steps": done.steps, "loss": done.loss}
        with LocalBackend(load(ModelSpec("embedded"))) as backend:
            tuned = backend.load_adapter(adapter / "adapter", "tuned").name
            base = backend.default_model.name
            renderer = Renderer(EMBEDDED_FOLDER / "tekken.json")
            for name, pairs in (("facts", recall), ("paraphrases", paraphrases)):
                result[f"{name}, base"] = share_right(backend, base, pairs)
                result[f"{name}, adapter"] = share_right(backend, tuned, pairs)
            before, after = (retention(backend, m, renderer, rows) for m in (base, tuned))
        for family in FAMILIES:
            result[f"{family}, base"] = before[family]
            result[f"{family}, adapter"] = after[family]
        result["mean retention, base"] = sum(before.values()) / len(before)
        result["mean retention, adapter"] = sum(after.values()) / len(after)
    return result


def main() -> None:
    """Every seed's figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=60, help="rows a family of retention")
    parser.add_argument("--write", type=Path, help="only write the catalogue's rows to this file")
    parser.add_argument("--set", action="append", default=[], help="recipe field=value")
    given = parser.parse_args()
    if given.write:
        write_rows(given.write, catalogue(0)[0])
        return
    quiet_libraries()
    options = {name: json.loads(value) for name, value in (s.split("=") for s in given.set)}
    for seed in range(given.seeds):
        print(json.dumps({k: round(v, 3) for k, v in one_seed(seed, given.rows, options).items()}))


if __name__ == "__main__":
    main()
