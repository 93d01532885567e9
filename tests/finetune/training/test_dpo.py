"""Preferences: what is preferred becomes likelier, over the prompt that serving renders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from peft import PeftModel

from finetune.data.dataset import read_dataset
from finetune.recipe import embedded_cpu
from finetune.training.train import Data, train
from playground.errors import InvalidSettings
from playground.evaluation.loss import losses
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message


def preferences(path: Path) -> Path:
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"What is {at} plus 1?"}]},
            "preferred_output": [{"role": "assistant", "content": f"It is {at + 1}."}],
            "non_preferred_output": [{"role": "assistant", "content": "I do not know."}],
        }
        for at in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_dpo_moves_the_answers_apart_and_leaves_the_base_alone(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    data = read_dataset([preferences(tmp_path / "p.jsonl")], loaded.tokenizer, 512).train
    prompt = loaded.tokenizer.render((Message("user", "What is 0 plus 1?"),))
    assert list(data.pairs[0].prompt) == prompt
    chosen = [pair.examples()[0] for pair in data.pairs]
    rejected = [pair.examples()[1] for pair in data.pairs]
    before = [sum(total for total, _ in losses(loaded.model, v)) for v in (chosen, rejected)]
    recipe = replace(
        embedded_cpu(),
        method="dpo",
        num_train_epochs=6.0,
        micro_batch_size=4,
        learning_rate=1e-3,
        replay_fraction=0.0,
    )
    done = train(recipe, loaded, Data(data.pairs), tmp_path / "run", "low")
    again = [sum(total for total, _ in losses(loaded.model, v)) for v in (chosen, rejected)]
    assert again == before
    model = PeftModel.from_pretrained(loaded.model, done.folder)
    after = [sum(total for total, _ in losses(model, v)) for v in (chosen, rejected)]
    assert after[1] - after[0] > before[1] - before[0]


def test_preferences_are_not_trained_by_sft(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    data = read_dataset([preferences(tmp_path / "p.jsonl")], loaded.tokenizer, 512).train
    with pytest.raises(InvalidSettings, match="rows with answers are needed"):
        train(embedded_cpu(), loaded, Data(data.pairs), tmp_path / "run", "no")
