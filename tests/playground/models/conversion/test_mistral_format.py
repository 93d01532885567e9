"""Folders in Mistral's own format: planned from params.json, converted once, loaded."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from playground.errors import BrokenWeights, UnsupportedModel
from playground.models.conversion.convert import as_model_folder
from playground.models.conversion.mistral_format import config_of
from playground.models.loader import load
from playground.models.plan import plan
from playground.models.published_configs import MINISTRAL_3, mistral_small_config
from playground.models.spec import ModelSpec
from tests.playground.models.conversion.stored import (
    logits,
    mistral_params,
    write_mistral_format,
    write_original,
)


@pytest.mark.slow
@pytest.mark.parametrize(("yarn", "tied"), [(False, False), (True, True)])
def test_mistral_format_computes_what_the_original_does(
    tmp_path: Path, yarn: bool, tied: bool
) -> None:
    original = write_original(tmp_path / "original", "v13", yarn=yarn, tied=tied)
    write_mistral_format(tmp_path / "original", original, tmp_path / "stored")
    spec = ModelSpec(str(tmp_path / "stored"), precision="fp32", device="cpu")
    planned = plan(spec, home=tmp_path)
    assert not (tmp_path / "models").exists()  # planning converts nothing
    loaded = load(spec, home=tmp_path)
    torch.testing.assert_close(logits(loaded.model), logits(original), rtol=1e-4, atol=1e-4)
    assert planned.parameters == original.num_parameters()
    assert loaded.tokenizer.call_format == "mistral_v13"
    assert loaded.name == "stored"


@pytest.mark.parametrize("config", [mistral_small_config(), MINISTRAL_3["8b"]()])
def test_published_shapes_survive_params(config: object) -> None:
    made = config_of(mistral_params(config))
    for name in ("hidden_size", "head_dim", "num_key_value_heads", "max_position_embeddings"):
        assert getattr(made, name) == getattr(config, name)
    assert made.model_type == config.model_type  # type: ignore[attr-defined]
    wanted = config.rope_parameters  # type: ignore[attr-defined]
    assert made.rope_parameters["rope_theta"] == wanted["rope_theta"]
    assert made.rope_parameters.get("factor") == wanted.get("factor")


@pytest.mark.slow
def test_unknown_tensor_is_named(tmp_path: Path) -> None:
    original = write_original(tmp_path / "original")
    write_mistral_format(tmp_path / "original", original, tmp_path / "stored")
    path = tmp_path / "stored" / "consolidated.safetensors"
    save_file(load_file(path) | {"layers.0.gate.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(BrokenWeights, match=r"layers\.0\.gate\.weight is no tensor"):
        as_model_folder(tmp_path / "stored", tmp_path)
    assert not list((tmp_path / "models").glob("*"))  # nothing half-made is left


def test_models_of_experts_are_refused() -> None:
    params = mistral_params(mistral_small_config()) | {"moe": {"num_experts": 8}}
    with pytest.raises(UnsupportedModel, match="'moe'"):
        config_of(params)


def test_missing_parameter_is_named() -> None:
    params = mistral_params(mistral_small_config())
    del params["hidden_dim"]
    with pytest.raises(UnsupportedModel, match="has no 'hidden_dim'"):
        config_of(json.loads(json.dumps(params)))
