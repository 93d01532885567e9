"""Folders whose weights are stored quantized: planned and loaded as they lie, or refused."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from playground.errors import UnsupportedModel
from playground.models import int_linear
from playground.models.loader import load
from playground.models.plan import plan, plan_for_config
from playground.models.published_configs import mistral_small_config
from playground.models.spec import ModelSpec
from playground.settings import Quantization


def stored(folder: Path, source: Path, quantization: Quantization) -> PreTrainedModel:
    """Save the model as bitsandbytes quantizes it, as people publish it; return what was saved."""
    config = BitsAndBytesConfig(
        load_in_4bit=quantization == "nf4",
        load_in_8bit=quantization == "int8",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.bfloat16, quantization_config=config, device_map={"": "cpu"}
    )
    model.save_pretrained(folder)
    for name in ("tekken.json", "tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            (folder / name).write_bytes((source / name).read_bytes())
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("has_kernels", [False, True])
def test_stored_quantization_loads_as_it_lies(
    mistral_folder: Path,
    tmp_path: Path,
    quantization: Quantization,
    has_kernels: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if has_kernels and not int_linear.has_int_kernels():
        pytest.skip("this CPU has no integer kernels")
    monkeypatch.setattr(int_linear, "has_int_kernels", lambda: has_kernels)
    folder = tmp_path / quantization
    made = stored(folder, mistral_folder, quantization)
    spec = ModelSpec(str(folder), precision="bf16", device="cpu")
    found = load(spec, home=tmp_path)
    assert found.spec.quantization == plan(spec).quantization == quantization
    layer = found.model.get_submodule("model.layers.0.mlp.up_proj")
    assert isinstance(layer, int_linear.IntLinear) == has_kernels
    ids = torch.tensor([[1, 5, 9]])
    with torch.inference_mode():
        difference = found.model(ids).logits - made(ids).logits
        assert difference.norm() <= (0.2 if has_kernels else 0.02) * made(ids).logits.norm()


def test_stored_24b_is_planned_in_four_bits() -> None:
    config = mistral_small_config()
    config.quantization_config = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    needed = plan_for_config(ModelSpec("folder", precision="bf16"), config, torch.device("cpu"), 0)
    assert 12 < needed.weights / 2**30 < 14.5


def test_stored_other_methods_are_refused() -> None:
    config = mistral_small_config()
    for method in ("hqq", "aqlm", "quark"):
        config.quantization_config = {"quant_method": method}
        with pytest.raises(UnsupportedModel, match=f"stored quantized by {method}"):
            plan_for_config(ModelSpec("folder"), config, torch.device("cpu"), 0)


def test_stored_quantization_cannot_be_changed() -> None:
    config = mistral_small_config()
    config.quantization_config = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    with pytest.raises(UnsupportedModel, match="is stored as int8 and cannot be loaded as nf4"):
        plan_for_config(ModelSpec("x", quantization="nf4"), config, torch.device("cpu"), 0)
