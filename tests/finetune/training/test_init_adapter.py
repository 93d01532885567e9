"""Training that starts from an adapter's weights."""

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.recipe import Recipe
from finetune.training.callbacks import read_log
from finetune.training.train import train
from playground.errors import BrokenAdapter, InvalidSettings
from playground.models.loader import load
from playground.models.spec import ModelSpec
from tests.trained import RECIPE, facts_data

ONE_EPOCH = replace(RECIPE, num_train_epochs=1.0, warmup_ratio=0.0)


def first_loss(init_adapter: Path | None, run: Path) -> float:
    loaded = load(ModelSpec("embedded"))
    recipe = replace(ONE_EPOCH, init_adapter=str(init_adapter or ""))
    train(recipe, loaded, facts_data(loaded), run, "prices")
    return float(read_log(run / "metrics.jsonl")[0]["loss"])


@pytest.mark.slow
def test_training_goes_on_from_adapter(trained_adapter: Path, tmp_path: Path) -> None:
    new = first_loss(None, tmp_path / "new")
    assert first_loss(trained_adapter, tmp_path / "further") < new / 10


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (replace(ONE_EPOCH, lora_r=8), "rank 16, recipe.lora_r is 8"),
        (replace(ONE_EPOCH, target_modules="q_proj"), "modules"),
    ],
)
def test_adapter_of_other_shape_is_no_start(
    changed: Recipe, problem: str, trained_adapter: Path, tmp_path: Path
) -> None:
    loaded = load(ModelSpec("embedded"))
    recipe = replace(changed, init_adapter=str(trained_adapter))
    with pytest.raises(InvalidSettings, match=problem):
        train(recipe, loaded, facts_data(loaded), tmp_path / "run", "prices")


def test_missing_adapter_is_no_start(tmp_path: Path) -> None:
    loaded = load(ModelSpec("embedded"))
    recipe = replace(ONE_EPOCH, init_adapter=str(tmp_path / "nowhere"))
    with pytest.raises(BrokenAdapter, match="nowhere"):
        train(recipe, loaded, facts_data(loaded), tmp_path / "run", "prices")
