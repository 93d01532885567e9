"""Folders whose weights are stored quantized: planned and loaded as they lie, or refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt

from playground.errors import UnsupportedModel
from playground.models.loader import load
from playground.models.plan import plan, plan_for_config
from playground.models.published_configs import mistral_small_config
from playground.models.spec import ModelSpec
from playground.settings import Quantization


def stored(folder: Path, source: Path, quantization: Quantization) -> Path:
    """The model quantized here and saved, as people publish it."""
    spec = ModelSpec(str(source), quantization=quantization, precision="bf16", device="cpu")
    load(spec).model.save_pretrained(folder)
    for name in ("tekken.json", "tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            (folder / name).write_bytes((source / name).read_bytes())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("quantization", "layer"), [("nf4", Linear4bit), ("int8", Linear8bitLt)])
def test_stored_quantization_loads_as_it_lies(
    mistral_folder: Path, tmp_path: Path, quantization: Quantization, layer: type
) -> None:
    folder = stored(tmp_path / quantization, mistral_folder, quantization)
    spec = ModelSpec(str(mistral_folder), quantization=quantization, precision="bf16", device="cpu")
    made = load(spec)
    found = load(replace(spec, source=str(folder), quantization="none"))
    assert found.spec.quantization == quantization
    assert isinstance(found.model.get_submodule("model.layers.0.mlp.up_proj"), layer)
    ids = torch.tensor([[1, 5, 9]])
    with torch.inference_mode():
        assert torch.equal(found.model(ids).logits, made.model(ids).logits)
    assert plan(replace(spec, source=str(folder), quantization="none")).quantization == quantization


def test_stored_24b_is_planned_in_four_bits() -> None:
    config = mistral_small_config()
    config.quantization_config = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    needed = plan_for_config(ModelSpec("folder", precision="bf16"), config, torch.device("cpu"), 0)
    assert 12 < needed.weights / 2**30 < 14


def test_stored_other_methods_are_refused() -> None:
    config = mistral_small_config()
    for method in ("gptq", "awq", "fp8", "compressed-tensors"):
        config.quantization_config = {"quant_method": method}
        with pytest.raises(UnsupportedModel, match=f"stored quantized by {method}"):
            plan_for_config(ModelSpec("folder"), config, torch.device("cpu"), 0)


def test_stored_quantization_cannot_be_changed() -> None:
    config = mistral_small_config()
    config.quantization_config = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    with pytest.raises(UnsupportedModel, match="is stored as int8 and cannot be loaded as nf4"):
        plan_for_config(ModelSpec("x", quantization="nf4"), config, torch.device("cpu"), 0)
