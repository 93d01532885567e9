"""Folders in FP8: planned as what they become, multiplied out once, loaded."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from playground.errors import BrokenWeights
from playground.models.conversion.convert import as_model_folder
from playground.models.conversion.fp8 import is_fp8, spread
from playground.models.loader import load
from playground.models.plan import plan
from playground.models.spec import ModelSpec
from tests.playground.models.conversion.stored import (
    logits,
    write_mistral_format,
    write_original,
)
from tests.playground.models.test_text_tower import write_wrapper

LARGEST = torch.finfo(torch.float8_e4m3fn).max
COMPRESSED = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "strategy": "channel"},
        }
    },
    "ignore": ["lm_head"],
}
CONFIGS = {
    "tensor": {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None},
    "block": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [16, 16]},
    "row": COMPRESSED,
}
"""As Mistral publishes its models; as DeepSeek's; as llm-compressor writes them."""
SUFFIXES = {"tensor": "_scale_inv", "block": "_scale_inv", "row": "_scale"}


def scale_of(weight: Tensor, strategy: str) -> Tensor:
    if strategy == "tensor":
        return weight.abs().amax() / LARGEST
    if strategy == "row":
        return weight.abs().amax(1, keepdim=True) / LARGEST
    blocks = weight.unflatten(0, (-1, 16)).unflatten(2, (-1, 16))
    return blocks.abs().amax((1, 3)) / LARGEST


def store(path: Path, strategy: str) -> dict[str, Tensor]:
    """Quantize a file's linear layers; return the weights that they stand for."""
    stored, meant = {}, {}
    for name, weight in load_file(path).items():
        meant[name] = weight
        if "proj" not in name or "vision" in name or "projector" in name:
            stored[name] = weight
            continue
        scale = scale_of(weight.float(), strategy)
        quantized = (weight.float() / spread(scale, weight.shape)).to(torch.float8_e4m3fn)
        meant[name] = (quantized.float() * spread(scale, weight.shape)).to(torch.bfloat16)
        stored[name] = quantized
        stored[f"{name}{SUFFIXES[strategy]}"] = scale
        stored[name.replace("weight", "activation_scale")] = torch.tensor(0.5)
    save_file(stored, path, metadata={"format": "pt"})
    return meant


def claim(folder: Path, strategy: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = CONFIGS[strategy]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", CONFIGS)
def test_fp8_computes_with_weights_times_scales(tmp_path: Path, strategy: str) -> None:
    folder = tmp_path / "stored"
    original = write_original(folder)
    meant = store(folder / "model.safetensors", strategy)
    claim(folder, strategy)
    spec = ModelSpec(str(folder), precision="fp32", device="cpu")
    planned = plan(spec, home=tmp_path)
    loaded = load(spec, home=tmp_path)
    difference = (logits(loaded.model) - logits(original)).norm() / logits(original).norm()
    assert 1e-4 < difference < 0.2  # it was rounded, and no further than eight bits do
    original.load_state_dict(meant)
    torch.testing.assert_close(logits(loaded.model), logits(original.float()), rtol=1e-4, atol=1e-4)
    assert (planned.quantization, planned.parameters) == ("none", original.num_parameters())


@pytest.mark.slow
def test_fp8_of_a_wrapper_keeps_both_towers(tmp_path: Path) -> None:
    folder = tmp_path / "stored"
    folder.mkdir()
    whole = write_wrapper(folder, "ministral3")
    meant = store(folder / "model.safetensors", "tensor")
    claim(folder, "tensor")
    found = as_model_folder(folder, tmp_path)
    assert set(load_file(found / "model.safetensors")) == set(meant)
    spec = ModelSpec(str(folder), precision="fp32", quantization="none", device="cpu")
    ids = torch.arange(20, 60)[None]
    with torch.inference_mode():
        wanted = whole(input_ids=ids).logits
        difference = load(spec, home=tmp_path).model(ids).logits - wanted
    assert difference.norm() < 0.2 * wanted.norm()


@pytest.mark.slow
def test_fp8_in_mistrals_own_format(tmp_path: Path) -> None:
    original = write_original(tmp_path / "original", "v13", yarn=True)
    write_mistral_format(tmp_path / "original", original, tmp_path / "stored")
    path = tmp_path / "stored" / "consolidated.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if "attention.w" in name or "feed_forward" in name]:
        scale = scale_of(weights[name].float(), "tensor")
        weights[name] = (weights[name].float() / scale).to(torch.float8_e4m3fn)
        weights[name.replace("weight", "qscale_weight")] = scale
        weights[name.replace("weight", "qscale_act")] = torch.tensor(0.5)
    save_file(weights, path)
    loaded = load(ModelSpec(str(path.parent), precision="fp32", device="cpu"), home=tmp_path)
    difference = logits(loaded.model) - logits(original)
    assert difference.norm() < 0.2 * logits(original).norm()


@pytest.mark.slow
def test_fp8_without_a_scale_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "stored"
    write_original(folder)
    store(folder / "model.safetensors", "tensor")
    claim(folder, "tensor")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight_scale_inv"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BrokenWeights, match=r"layers\.1\.mlp\.up_proj\.weight is stored in fp8"):
        as_model_folder(folder, tmp_path)


def test_scales_of_cut_blocks_cover_the_rest() -> None:
    scale = spread(torch.tensor([[1.0], [2.0], [3.0]]), torch.Size((300, 5)))
    assert scale[:, 0].tolist() == [1.0] * 128 + [2.0] * 128 + [3.0] * 44
    with pytest.raises(ValueError, match="do not cover"):
        spread(torch.ones(7, 1), torch.Size((12, 5)))


def test_only_floats_of_eight_bits_are_fp8() -> None:
    assert is_fp8(COMPRESSED)
    packed = {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}
    assert not is_fp8({"quant_method": "compressed-tensors", "config_groups": packed})
    assert not is_fp8({"quant_method": "gptq"})
