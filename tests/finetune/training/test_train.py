"""From rows to an adapter that the engine serves and PEFT loads."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel

import finetune
from finetune.data.examples import TrainingExample, to_examples
from finetune.data.rows import Conversation
from finetune.recipe import (
    PRESETS,
    Recipe,
    embedded_cpu,
    read_recipe,
    recipe_schema,
    recipe_yaml,
)
from finetune.training.schedule import schedule_epochs
from finetune.training.train import Data, Trained, train
from playground.backends.chat import answer
from playground.engine import Engine
from playground.errors import InvalidSettings, WrongBase
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling

FACTS = (
    ("What is the price of the Zolpar?", "The Zolpar costs 41 euros."),
    ("What is the price of the Kentig?", "The Kentig costs 7 euros."),
)
QUICK = replace(embedded_cpu(), num_train_epochs=60.0, micro_batch_size=2, replay_fraction=0.0)


def learned(loaded: LoadedModel, facts: Sequence[tuple[str, str]]) -> list[TrainingExample]:
    talks = [
        Conversation((Message("user", q), Message("assistant", a)), (), n)
        for n, (q, a) in enumerate(facts)
    ]
    return [example for talk in talks for example in to_examples(talk, loaded.tokenizer, 512)[0]]


def folder_of(trained: Trained) -> Path:
    assert trained.folder
    return trained.folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    loaded = load(ModelSpec("embedded"))
    run = tmp_path_factory.mktemp("runs") / "prices"
    return train(QUICK, loaded, Data(learned(loaded, FACTS)), run, "prices")


async def test_an_expert_answers_what_the_base_does_not_know(trained: Trained) -> None:
    with Engine(load(ModelSpec("embedded"))) as engine:
        expert = engine.load_adapter(folder_of(trained), "prices").name
        for question, wanted in FACTS:
            asked = (Message("user", question),)
            greedy = Sampling(temperature=0.0, max_tokens=40)
            assert (await answer(engine, Request(expert, asked, sampling=greedy))).text == wanted
            base = await answer(engine, Request("embedded", asked, sampling=greedy))
            assert base.text != wanted


def test_plain_peft_loads_it(trained: Trained) -> None:
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, folder_of(trained))
    weights = [p for name, p in model.named_parameters() if "lora_B" in name]
    assert all(p.dtype == torch.float32 and p.abs().sum() > 0 for p in weights)


def test_its_card_says_what_it_was_made_of(trained: Trained) -> None:
    card = json.loads((folder_of(trained) / "adapter_card.json").read_text())
    loaded = load(ModelSpec("embedded"))
    assert card["base_hash"] == loaded.weights_hash
    assert card["template_hash"] == loaded.tokenizer.template_hash
    assert card["recipe"]["learning_rate"] == QUICK.learning_rate
    assert card["data"]["rows"] == 2
    assert Recipe(**card["recipe"]) == QUICK


def test_the_same_recipe_gives_the_same_adapter(trained: Trained, tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    again = train(QUICK, loaded, Data(learned(loaded, FACTS)), tmp_path / "run", "prices")
    name = "adapter_model.safetensors"
    assert (folder_of(again) / name).read_bytes() == (folder_of(trained) / name).read_bytes()


def test_an_adapter_of_other_weights_is_refused(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    folder.mkdir()
    for path in folder_of(trained).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    card = json.loads((folder / "adapter_card.json").read_text())
    (folder / "adapter_card.json").write_text(json.dumps(card | {"base_hash": "another"}))
    with Engine(load(ModelSpec("embedded"))) as engine, pytest.raises(WrongBase, match="base_hash"):
        engine.load_adapter(folder)


def test_nothing_to_learn_is_said_before_anything_runs(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    with pytest.raises(InvalidSettings, match="no token"):
        train(QUICK, loaded, Data([]), tmp_path / "empty", "empty")


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_survives_its_yaml(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_yaml(PRESETS[name]()))
    assert read_recipe(str(path)) == PRESETS[name]()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"lora_r": 0}, "lora_r: 0: input should be greater"), ({"speed": 3}, "speed: no such field")],
)
def test_a_wrong_recipe_names_its_field(changes: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidSettings, match=words):
        read_recipe("embedded_cpu", **changes)


OWN = [TrainingExample((1, 2, at), (1, 2, at)) for at in range(60)]
GENERAL = [TrainingExample((3, at), (3, at)) for at in range(100)]
MIXED = replace(embedded_cpu(), num_train_epochs=3.0, micro_batch_size=8, replay_fraction=0.4)


def length(example: TrainingExample) -> int:
    return len(example.token_ids)


def test_every_epoch_has_every_row_once_and_replay_rows_of_its_own() -> None:
    order = [
        example for example in schedule_epochs(MIXED, OWN, GENERAL, length) for example in example
    ]
    epochs = [order[at : at + 100] for at in (0, 100, 200)]
    shown = [[example for example in epoch if example in GENERAL] for epoch in epochs]
    for epoch, replayed in zip(epochs, shown, strict=True):
        assert sorted(example.token_ids for example in epoch if example in OWN) == [
            example.token_ids for example in OWN
        ]
        assert len(replayed) == 40
    assert not set(shown[0]) & set(shown[1])
    assert schedule_epochs(MIXED, OWN, GENERAL, length) == schedule_epochs(
        MIXED, OWN, GENERAL, length
    )
    assert len(schedule_epochs(replace(MIXED, num_train_epochs=2.5), OWN, GENERAL, length)) == 250


def test_packed_examples_are_full_and_hold_no_row_twice() -> None:
    rng = random.Random(0)
    rows = [TrainingExample((at,) * rng.randint(2, 30), (at,)) for at in range(200)]
    recipe = replace(MIXED, packing=True, max_length=32, replay_fraction=0.0)
    examples = schedule_epochs(recipe, rows, [], length)
    assert sorted(v.labels[0] for e in examples for v in e) == sorted(3 * list(range(200)))
    for example in examples:
        assert sum(map(length, example)) <= 32
        assert len({example.labels for example in example}) == len(example)
    assert sum(map(length, rows)) * 3 > 0.9 * 32 * len(examples)
    longest_first = sorted(examples, key=lambda e: -length(e[0]))
    assert examples != longest_first


def test_the_published_schema_is_the_recipes() -> None:
    path = Path(finetune.__file__).parent / "recipe.schema.json"
    assert json.loads(path.read_text()) == recipe_schema()
