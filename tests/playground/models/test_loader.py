"""The shared loader: every precision loads, every broken folder is refused with its reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt

from playground.errors import (
    BrokenWeights,
    NoNetwork,
    NoSuchModel,
    NotEnoughMemory,
    PlaygroundError,
    UnsupportedModel,
)
from playground.models.int_linear import Int4Linear, Int8Linear, has_int_kernels
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message
from playground.protocol.json_types import Json
from playground.settings import Precision, Quantization

WEIGHTS = "model.safetensors"


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_gives_finite_logits(
    mistral_folder: Path, quantization: Quantization, precision: Precision
) -> None:
    spec = ModelSpec(str(mistral_folder), quantization=quantization, precision=precision)
    loaded = load(spec)
    prompt = torch.tensor([loaded.tokenizer.render([Message("user", "Hello")])])
    assert loaded.model(prompt).logits.isfinite().all()
    linear = loaded.model.model.layers[0].mlp.up_proj
    quantized = {"int8": Linear8bitLt, "nf4": Linear4bit}
    if loaded.model.device.type == "cpu" and has_int_kernels():
        quantized = {"int8": Int8Linear, "nf4": Int4Linear}
    expected = {"none": torch.nn.Linear, **quantized}[quantization]
    assert type(linear) is expected
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_small_model_is_fp32_on_cpu(mistral_folder: Path) -> None:
    assert load(ModelSpec(str(mistral_folder), device="cpu")).model.dtype == torch.float32


@pytest.mark.parametrize("integers", [True, False])
def test_nf4_stays_trainable_after_eval_forward(
    mistral_folder: Path, integers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AVX512-BF16 bitsandbytes' kernel would repack the base and lose gradients in silence."""
    if not integers:
        monkeypatch.setattr("playground.models.loader.uses_int_weights", lambda *_: False)
    loaded = load(ModelSpec(str(mistral_folder), quantization="nf4", device="cpu"))
    layers = loaded.model.model.layers
    prompt = torch.tensor([loaded.tokenizer.render([Message("user", "Hello")])])
    with torch.no_grad():
        loaded.model(prompt)
    embedded = loaded.model.get_input_embeddings()(prompt).requires_grad_()
    loaded.model(inputs_embeds=embedded).logits.sum().backward()
    assert embedded.grad is not None
    assert embedded.grad.count_nonzero() == embedded.numel()
    assert not any(
        module.support_avx512bf16_for_cpu
        for module in layers.modules()
        if isinstance(module, Linear4bit)
    )


def test_weights_hash_differs_by_content(mistral_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(mistral_folder, tmp_path / "copy")
    spec = ModelSpec(str(copy))
    before = load(spec).weights_hash
    assert before == load(ModelSpec(str(mistral_folder))).weights_hash
    data = bytearray((copy / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copy / WEIGHTS).write_bytes(data)
    assert load(spec).weights_hash != before


def _edit_config(folder: Path, **values: Json) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _truncate(folder: Path, size: int) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:size])


def _as_pickle(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def _with_missing_shard(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": shards}))


BROKEN: list[tuple[str, Callable[[Path], object], type[PlaygroundError], str]] = [
    ("truncated data", lambda f: _truncate(f, 5000), BrokenWeights, "truncated"),
    ("truncated header", lambda f: _truncate(f, 50), BrokenWeights, "truncated"),
    ("empty weights", lambda f: _truncate(f, 0), BrokenWeights, "truncated"),
    ("no weights", lambda f: (f / WEIGHTS).unlink(), BrokenWeights, "no weights"),
    ("missing shard", _with_missing_shard, BrokenWeights, "00002-of-00002"),
    ("pickle only", _as_pickle, UnsupportedModel, "pickles"),
    ("no config", lambda f: (f / "config.json").unlink(), UnsupportedModel, "config.json"),
    ("bad config", lambda f: (f / "config.json").write_text("{"), UnsupportedModel, "config.json"),
    ("other shape", lambda f: _edit_config(f, intermediate_size=256), BrokenWeights, "mlp"),
    ("extra layer", lambda f: _edit_config(f, num_hidden_layers=3), BrokenWeights, "layers.2"),
    ("unknown kind", lambda f: _edit_config(f, model_type="nope"), UnsupportedModel, "nope"),
    ("not a causal LM", lambda f: _edit_config(f, model_type="vit"), UnsupportedModel, "vit"),
    ("no tokenizer", lambda f: (f / "tekken.json").unlink(), UnsupportedModel, "tokenizer"),
    (
        "bad tokenizer",
        lambda f: (f / "tekken.json").write_text("{}"),
        UnsupportedModel,
        "tekken.json",
    ),
    (
        "remote code",
        lambda f: _edit_config(
            f, model_type="custom", auto_map={"AutoModelForCausalLM": "evil.Model"}
        ),
        UnsupportedModel,
        "custom",
    ),
]


@pytest.mark.parametrize(
    ("breakage", "error", "word"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_broken_folder_is_refused(
    mistral_folder: Path,
    tmp_path: Path,
    breakage: Callable[[Path], object],
    error: type[PlaygroundError],
    word: str,
) -> None:
    folder = shutil.copytree(mistral_folder, tmp_path / "broken")
    breakage(folder)
    with pytest.raises(error, match=word):
        load(ModelSpec(str(folder)))


def test_unknown_name_is_refused() -> None:
    with pytest.raises(NoSuchModel, match="no catalogue name"):
        load(ModelSpec("no-such-model"))


def test_hub_id_without_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork, match="cannot be reached"):
        load(ModelSpec("nobody/nothing"), home=tmp_path)


def test_unknown_device_is_refused(mistral_folder: Path) -> None:
    with pytest.raises(UnsupportedModel, match="not a device"):
        load(ModelSpec(str(mistral_folder), device="abacus"))


def test_too_large_model_suggests_what_fits(mistral_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(mistral_folder, tmp_path / "wide")
    _edit_config(folder, max_position_embeddings=10**12)
    with pytest.raises(NotEnoughMemory, match=r"--context-length \d+ would fit"):
        load(ModelSpec(str(folder), device="cpu"))
