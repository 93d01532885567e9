"""From rows to an adapter that the engine serves and PEFT loads."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from finetune.data.dataset import TrainingData
from finetune.data.examples import TrainingExample
from finetune.recipe import Recipe, embedded_cpu
from finetune.training.schedule import schedule_epochs
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.errors import InvalidSettings, WrongBase
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling, answer
from tests.trained import FACTS, RECIPE, train_adapter


@pytest.mark.slow
async def test_adapter_answers_what_base_does_not_know(trained_adapter: Path) -> None:
    with LocalBackend(load(ModelSpec("embedded"))) as host:
        model = host.load_adapter(trained_adapter, "prices").name
        for question, wanted in FACTS.items():
            messages = (Message("user", question),)
            greedy = Sampling(temperature=0.0, max_tokens=40)
            assert (await answer(host, Request(model, messages, sampling=greedy))).text == wanted
            base = await answer(host, Request("embedded", messages, sampling=greedy))
            assert base.text != wanted


@pytest.mark.slow
def test_adapter_loads_in_plain_peft(trained_adapter: Path) -> None:
    model = PeftModel.from_pretrained(load(ModelSpec("embedded")).model, trained_adapter)
    weights = [p for name, p in model.named_parameters() if "lora_B" in name]
    assert all(p.dtype == torch.float32 and p.abs().sum() > 0 for p in weights)


def test_adapter_card_records_base_and_recipe(trained_adapter: Path) -> None:
    card = json.loads((trained_adapter / "adapter_card.json").read_text())
    loaded = load(ModelSpec("embedded"))
    assert card["base_hash"] == loaded.weights_hash
    assert card["template_hash"] == loaded.tokenizer.template_hash
    assert card["recipe"]["learning_rate"] == RECIPE.learning_rate
    assert card["data"]["rows"] == 2
    assert Recipe(**card["recipe"]) == RECIPE


@pytest.mark.training
def test_same_recipe_gives_same_adapter(trained_adapter: Path, tmp_path: Path) -> None:
    again = train_adapter(tmp_path / "run")
    name = "adapter_model.safetensors"
    assert (again / name).read_bytes() == (trained_adapter / name).read_bytes()


def test_adapter_of_other_weights_is_refused(trained_adapter: Path) -> None:
    card = json.loads((trained_adapter / "adapter_card.json").read_text())
    (trained_adapter / "adapter_card.json").write_text(json.dumps(card | {"base_hash": "another"}))
    with (
        LocalBackend(load(ModelSpec("embedded"))) as host,
        pytest.raises(WrongBase, match="base_hash"),
    ):
        host.load_adapter(trained_adapter)


def test_nothing_to_train_is_refused(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    with pytest.raises(InvalidSettings, match="no token"):
        train(RECIPE, loaded, TrainingData.of([]), tmp_path / "empty", "empty")


OWN = [TrainingExample((1, 2, at), (1, 2, at)) for at in range(60)]
GENERAL = [TrainingExample((3, at), (3, at)) for at in range(100)]
MIXED = replace(embedded_cpu(), num_train_epochs=3.0, micro_batch_size=8, replay_fraction=0.4)


def length(example: TrainingExample) -> int:
    return len(example.token_ids)


def test_epoch_has_every_row_once() -> None:
    order = [
        example for sequence in schedule_epochs(MIXED, OWN, GENERAL, length) for example in sequence
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


def test_packed_sequences_are_full() -> None:
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
