"""Folders of GPTQ, AWQ and compressed-tensors: planned, unpacked, loaded; others are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from playground.errors import BrokenWeights, UnsupportedModel
from playground.models import int_linear
from playground.models.config import TEXT_TOWER_KEYS, integer_format, read_config
from playground.models.loader import load
from playground.models.plan import plan, plan_for_config
from playground.models.published_configs import mistral_small_config
from playground.models.spec import ModelSpec
from playground.models.stored_integers import read_format
from playground.models.stored_weights import StoredWeights
from tests.playground.models.conversion.stored import logits, write_original
from tests.playground.models.integer_folders import AWQ, FORMS, GPTQ, scheme, write_integers
from tests.playground.models.test_text_tower import write_wrapper

Original = tuple[Path, PreTrainedModel]
LAYER = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    folder = tmp_path_factory.mktemp("original")
    return folder, write_original(folder)


@pytest.mark.parametrize("name", FORMS)
def test_integers_are_unpacked_exactly(original: Original, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "stored"
    meant = write_integers(original[0], folder, FORMS[name])
    form = integer_format("x", read_config(folder))
    stored = StoredWeights([folder / "model.safetensors"], form=form)
    assert torch.equal(stored.matrix(LAYER), meant[LAYER])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "has_kernels"),
    [
        ("gptq", False),
        ("w8a8", False),
        ("gptq, act-order", True),
        ("awq", True),
        ("w4a16, zeros", True),
        ("gptq, 8 bits", True),
    ],
)
def test_integers_are_loaded(
    original: Original,
    tmp_path: Path,
    name: str,
    has_kernels: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if has_kernels and not int_linear.has_int_kernels():
        pytest.skip("this CPU has no integer kernels")
    monkeypatch.setattr(int_linear, "has_int_kernels", lambda: has_kernels)
    folder, form = tmp_path / "stored", FORMS[name]
    meant = write_integers(original[0], folder, form)
    spec = ModelSpec(str(folder), precision="fp32", device="cpu")
    found = load(spec, home=tmp_path)
    kind = "nf4" if form.bits == 4 else "int8"
    assert found.spec.quantization == plan(spec).quantization == kind
    layer = found.model.get_submodule("model.layers.0.mlp.up_proj")
    assert isinstance(layer, int_linear.IntLinear) == has_kernels
    model = original[1]
    model.load_state_dict(meant)
    expected = logits(model)
    difference = (logits(found.model) - expected).norm() / expected.norm()
    keeps_integers = has_kernels and form.bits == 4 and not form.act_order
    assert difference < (0.02 if keeps_integers or form.bits == 8 else 0.2)


@pytest.mark.slow
def test_integers_of_a_wrapper_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = write_wrapper(tmp_path / "whole", "mistral")
    meant = write_integers(tmp_path / "whole", tmp_path / "stored", FORMS["w4a16"])
    names = StoredWeights([tmp_path / "whole" / "model.safetensors"], TEXT_TOWER_KEYS)
    assert "model.layers.1.mlp.up_proj.weight" in names
    tower = load(ModelSpec(str(tmp_path / "stored"), precision="fp32", device="cpu")).model
    weights = {name.removeprefix("language_model."): each for name, each in meant.items()}
    own = {
        name.replace("model.language_model.", "model."): each
        for name, each in whole.state_dict().items()
        if "vision" not in name and "projector" not in name
    }
    plain = type(tower)(tower.config)
    plain.load_state_dict(own | {name: each for name, each in weights.items() if name in own})
    ids = torch.arange(20, 60)[None]
    with torch.inference_mode():
        expected = plain.eval()(ids).logits
        assert (tower(ids).logits - expected).norm() < 0.2 * expected.norm()


def test_stored_groups_are_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int_linear, "has_int_kernels", lambda: True)
    config = mistral_small_config()
    sizes = {}
    for group in (32, 128):
        config.quantization_config = GPTQ | {"group_size": group}
        planned = plan_for_config(ModelSpec("x"), config, torch.device("cpu"), 0)
        sizes[group] = planned.linear_bytes / planned.parameters * 8
        assert "nf4, stored as GPTQ" in planned.rows()[0][0]
    assert sizes[32] - sizes[128] == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (GPTQ | {"bits": 3}, "by GPTQ in 3 bits"),
        (GPTQ | {"checkpoint_format": "marlin"}, "'marlin'"),
        (GPTQ | {"dynamic": {"-:.*down_proj": {}}}, "several formats"),
        (AWQ | {"version": "gemv"}, "'gemv'"),
        (scheme("pack-quantized", 2, symmetric=True), "in 2 bits"),
        (scheme("marlin-24", 4, symmetric=True), "marlin-24"),
        ({"quant_method": "compressed-tensors"}, "no group"),
        ({"quant_method": "aqlm"}, "quantized by aqlm"),
        (GPTQ | {"bits": "four"}, "not one of gptq"),
        ({"quant_method": "awq", "bits": 8}, "by AWQ in 8 bits"),
    ],
)
def test_other_integers_are_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedModel, match=named):
        read_format("x", fields)


@pytest.mark.parametrize("breakage", ["missing", "cut"])
def test_broken_integers_are_named(original: Original, tmp_path: Path, breakage: str) -> None:
    folder = tmp_path / "stored"
    write_integers(original[0], folder, FORMS["awq"])
    weights = load_file(folder / "model.safetensors")
    scales = weights.pop(LAYER.replace("weight", "scales"))
    if breakage == "cut":
        weights[LAYER.replace("weight", "scales")] = scales[:1].clone()
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(BrokenWeights, match=r"layers\.1\.mlp\.down_proj"):
        load(ModelSpec(str(folder), device="cpu"), home=tmp_path)


def test_missing_matrix_of_integers_is_named(original: Original, tmp_path: Path) -> None:
    folder = tmp_path / "stored"
    write_integers(original[0], folder, FORMS["gptq"])
    path = folder / "model.safetensors"
    weights = {
        name: each for name, each in load_file(path).items() if "1.mlp.down_proj" not in name
    }
    save_file(weights, path)
    with pytest.raises(BrokenWeights, match=r"layers\.1\.mlp\.down_proj"):
        load(ModelSpec(str(folder), device="cpu"), home=tmp_path)


def test_stored_config_stays_as_it_is(original: Original, tmp_path: Path) -> None:
    """A folder's config is read, never written."""
    folder = tmp_path / "stored"
    write_integers(original[0], folder, FORMS["awq"])
    before = json.loads((folder / "config.json").read_text())
    load(ModelSpec(str(folder), device="cpu"), home=tmp_path)
    assert json.loads((folder / "config.json").read_text()) == before
