"""Packed weights: from every stored form, kept at home, refused when broken."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from playground.errors import BrokenWeights
from playground.models.int_linear import Int4Linear, has_int_kernels
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.packed_weights import read_packed
from playground.models.spec import ModelSpec
from playground.models.weights import weights_hash
from playground.settings import Quantization

pytestmark = pytest.mark.skipif(not has_int_kernels(), reason="this CPU has no integer kernels")
PROMPT = torch.tensor([[1, 5, 9, 4, 7]])


def loaded_from(folder: Path, home: Path | None, kind: Quantization = "nf4") -> LoadedModel:
    return load(ModelSpec(str(folder), quantization=kind, device="cpu"), home=home)


@torch.inference_mode()
def logits_of(loaded: LoadedModel) -> torch.Tensor:
    logits: torch.Tensor = loaded.model(PROMPT).logits
    return logits


def packed_folder(home: Path) -> Path:
    (folder,) = (home / "packed").iterdir()
    return folder


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_second_start_maps_the_same(
    mistral_folder: Path, tmp_path: Path, kind: Quantization
) -> None:
    first = loaded_from(mistral_folder, tmp_path, kind)
    before = {path: path.stat().st_mtime_ns for path in packed_folder(tmp_path).iterdir()}
    second = loaded_from(mistral_folder, tmp_path, kind)
    assert torch.equal(logits_of(first), logits_of(second))
    assert torch.equal(logits_of(second), logits_of(loaded_from(mistral_folder, None, kind)))
    assert before == {path: path.stat().st_mtime_ns for path in packed_folder(tmp_path).iterdir()}


@pytest.mark.parametrize("shift", [0, 8])
def test_mapped_weights_are_aligned(mistral_folder: Path, tmp_path: Path, shift: int) -> None:
    """A file whose tensors begin elsewhere would end the process in torch's kernel for int8."""
    loaded_from(mistral_folder, tmp_path, "int8")
    path = packed_folder(tmp_path) / "00000.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert (8 + size) % 64 == 0
    shifted = (size + shift).to_bytes(8, "little") + content[8 : 8 + size] + b" " * shift
    path.write_bytes(shifted + content[8 + size :])
    record = path.with_name("packed.json")
    record.write_text(json.dumps({"files": [path.name], "hash": weights_hash([path])}))
    found = read_packed(path.parent)
    assert found is not None
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found.values())


@pytest.mark.parametrize("breakage", ["truncated", "changed", "no record", "bad record"])
def test_broken_pack_is_made_again(mistral_folder: Path, tmp_path: Path, breakage: str) -> None:
    expected = logits_of(loaded_from(mistral_folder, tmp_path))
    folder = packed_folder(tmp_path)
    weights, record = folder / "00000.safetensors", folder / "packed.json"
    content = bytearray(weights.read_bytes())
    if breakage == "truncated":
        weights.write_bytes(content[:-100])
    elif breakage == "changed":
        content[-1] ^= 1
        weights.write_bytes(content)
    elif breakage == "no record":
        record.unlink()
    else:
        record.write_text(json.dumps({"files": None}))
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert read_packed(copy) is None
    assert not copy.exists()
    assert torch.equal(logits_of(loaded_from(mistral_folder, tmp_path)), expected)
    assert read_packed(packed_folder(tmp_path)) is not None


def test_other_weights_have_another_pack(mistral_folder: Path, tmp_path: Path) -> None:
    loaded_from(mistral_folder, tmp_path / "home")
    changed = shutil.copytree(mistral_folder, tmp_path / "changed")
    path = changed / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    loaded_from(changed, tmp_path / "home")
    assert len(list((tmp_path / "home/packed").iterdir())) == 2


@pytest.mark.slow
def test_serialized_nf4_is_packed(mistral_folder: Path, tmp_path: Path) -> None:
    """A folder in bitsandbytes' own layout loses what 4-bit integers lose, and nothing else."""
    stored = AutoModelForCausalLM.from_pretrained(
        mistral_folder,
        dtype=torch.float32,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
        ),
    )
    folder = shutil.copytree(mistral_folder, tmp_path / "nf4")
    (folder / "model.safetensors").unlink()
    stored.save_pretrained(folder)
    loaded = loaded_from(folder, None)
    layer = loaded.model.model.layers[0].mlp.up_proj
    assert isinstance(layer, Int4Linear)
    weight = stored.model.layers[0].mlp.up_proj.weight
    from bitsandbytes.functional import dequantize_4bit

    expected = dequantize_4bit(weight.data, weight.quant_state).float()
    difference = layer.dense(0, torch.float32).T - expected
    assert difference.norm() < 0.1 * expected.norm()


def test_wrong_shape_is_refused(mistral_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(mistral_folder, tmp_path / "broken")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 256}))
    with pytest.raises(BrokenWeights, match="mismatched"):
        loaded_from(folder, None)
