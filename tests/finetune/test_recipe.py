"""Recipes: validated, written and read, with the names that TRL and PEFT use."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

import finetune
from finetune.presets import recipe_for
from finetune.recipe import (
    PRESETS,
    RENAMED,
    Recipe,
    embedded_cpu,
    read_recipe,
    read_recorded,
    recipe_schema,
    recipe_yaml,
)
from playground.errors import InvalidSettings
from playground.models.catalogue import EMBEDDED_FOLDER, CatalogueEntry, entries
from playground.models.download import locate
from playground.models.spec import ModelSpec


@pytest.mark.parametrize("name", PRESETS)
def test_recipe_survives_its_yaml(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_yaml(PRESETS[name]()))
    assert read_recipe(str(path)) == PRESETS[name]()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"lora_r": 0}, "lora_r: 0: input should be greater"), ({"speed": 3}, "speed: no such field")],
)
def test_wrong_recipe_names_its_field(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSettings, match=words):
        read_recipe("embedded_cpu", changes)


@pytest.mark.parametrize("field", ["dora", "use_dora"])
def test_dora_refused_before_training(field: str) -> None:
    with pytest.raises(InvalidSettings, match=f"recipe.{field}: DoRA's magnitudes"):
        read_recipe("embedded_cpu", {field: True})


@pytest.mark.parametrize("name", ["embed_tokens", "lm_head", "model.embed_tokens"])
def test_unserved_target_refused(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"target_modules: .*adapters of {name} cannot be"):
        read_recipe("embedded_cpu", {"target_modules": f"q_proj, {name}"})


def test_recorded_recipe_without_dora_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_yaml(embedded_cpu()) + "use_dora: false\n")
    assert read_recorded(path) == embedded_cpu()


def test_published_schema_is_current() -> None:
    path = Path(finetune.__file__).parent / "recipe.schema.json"
    assert json.loads(path.read_text()) == recipe_schema()


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_renamed_field_says_its_new_name(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{old}: 1\n")
    assert new in {field.name for field in dataclasses.fields(Recipe)}
    for read in (lambda: read_recipe(str(path)), lambda: read_recipe("embedded_cpu", {old: 1})):
        with pytest.raises(InvalidSettings, match=f"recipe.{old} is now {new}"):
            read()


def test_recorded_recipe_is_read_by_old_names(tmp_path: Path) -> None:
    former = {new: old for old, new in RENAMED.items()}
    values = dataclasses.asdict(embedded_cpu())
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({former.get(name, name): v for name, v in values.items()}))
    assert read_recorded(path) == embedded_cpu()


def test_every_description_is_a_sentence() -> None:
    for name, field in recipe_schema()["properties"].items():
        text = field["description"]
        assert text[0].isupper() or text.startswith(("sft", "dpo")), name
        assert text.endswith("."), name


@pytest.mark.parametrize(
    "entry", [entry for entry in entries() if entry.recipe], ids=lambda entry: entry.name
)
def test_catalogue_base_has_its_own_preset(entry: CatalogueEntry) -> None:
    preset = dataclasses.replace(PRESETS[entry.recipe](), base_model=entry.name)
    found = recipe_for(entry.name)
    assert dataclasses.replace(found, optim=preset.optim, quantization=preset.quantization,
                               precision=preset.precision) == preset  # fmt: skip


def test_other_base_gets_scaled_lora(tmp_path: Path) -> None:
    base = tmp_path / "another"
    base.mkdir()
    for path in locate(ModelSpec(str(EMBEDDED_FOLDER))).iterdir():
        (base / path.name).symlink_to(path)
    found = recipe_for(str(base), quantization="nf4")
    assert (found.base_model, found.quantization) == (str(base), "nf4")
    assert found.optim == "paged_adamw_8bit"
    assert found.micro_batch_size * found.gradient_accumulation_steps == 16
    assert not found.gradient_checkpointing  # the model is small
    assert found.max_length == 2048


@pytest.mark.parametrize("rate", [1e-5, 1e-6, 2.5e-7, 2e-4, 1.0])
def test_recorded_learning_rate_is_a_number(tmp_path: Path, rate: float) -> None:
    recorded = tmp_path / "recipe.yaml"
    recorded.write_text(recipe_yaml(Recipe(learning_rate=rate)))
    assert read_recorded(recorded).learning_rate == rate
