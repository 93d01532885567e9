"""Preferences: what is preferred becomes likelier, over the prompt that serving renders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from peft import PeftModel

from finetune.data.dataset import TrainingData, prepare
from finetune.data.examples import PreferencePair
from finetune.recipe import embedded_cpu
from finetune.training.train import train
from playground.errors import InvalidSettings
from playground.evaluation.loss import losses
from playground.models.loaded import LoadedModel
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


def pairs_of(file: Path, loaded: LoadedModel) -> list[PreferencePair]:
    data = prepare([file], loaded.tokenizer, file.parent).select(embedded_cpu())
    return [pair for pair in data.train if isinstance(pair, PreferencePair)]


@pytest.mark.training
def test_dpo_moves_answers_apart(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    pairs = pairs_of(preferences(tmp_path / "p.jsonl"), loaded)
    prompt = loaded.tokenizer.render((Message("user", "What is 0 plus 1?"),))
    assert list(pairs[0].prompt) == prompt
    chosen = [pair.to_examples()[0] for pair in pairs]
    rejected = [pair.to_examples()[1] for pair in pairs]
    before = [sum(total for total, _ in losses(loaded.model, v)) for v in (chosen, rejected)]
    recipe = replace(
        embedded_cpu(),
        method="dpo",
        num_train_epochs=6.0,
        micro_batch_size=4,
        learning_rate=1e-3,
        replay_fraction=0.0,
    )
    done = train(recipe, loaded, TrainingData.of(pairs), tmp_path / "run", "low")
    again = [sum(total for total, _ in losses(loaded.model, v)) for v in (chosen, rejected)]
    assert again == before
    model = PeftModel.from_pretrained(loaded.model, done.folder)
    after = [sum(total for total, _ in losses(model, v)) for v in (chosen, rejected)]
    assert after[1] - after[0] > before[1] - before[0]


def test_sft_refuses_preferences(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    pairs = pairs_of(preferences(tmp_path / "p.jsonl"), loaded)
    with pytest.raises(InvalidSettings, match="method=dpo"):
        train(embedded_cpu(), loaded, TrainingData.of(pairs), tmp_path / "run", "no")
