"""Exports, each loaded back by the reader of the program that it is for.

Greedy answers are compared with what PEFT computes in fp32: tokens before the first that differs.
bf16 and f16 round a merged weight once, q8_0 twice.
"""

import errno
import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from playground.errors import (
    Conflict,
    InvalidSettings,
    NoSpace,
    NoSuchModel,
    NotEnoughMemory,
    UnsupportedModel,
    WrongBase,
)
from playground.models.adapters import read_adapter
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.export import base as base_module
from playground.models.export.export import export
from playground.models.export.gguf_file import interleaved
from playground.models.export.request import Exported, ExportRequest, make_request
from playground.models.loader import load
from playground.models.spec import ModelSpec
from tests.playground.adapter_files import random_adapter
from tests.playground.models.export.greedy import agreement, answers, peft_model

MERGED_AGREEMENT, Q8_AGREEMENT = 0.95, 0.85
"""Least share of tokens that agree. The base alone agrees in 0.40."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of two ranks, strong enough to change every answer."""
    folder = tmp_path_factory.mktemp("made") / "desk"
    return random_adapter(folder, 1, r=8, rank_pattern={"q_proj": 4})


@pytest.fixture(scope="module")
def expected(adapter: Path) -> list[list[int]]:
    return answers(peft_model(adapter))


Write = Callable[..., Exported]


@pytest.fixture
def write(adapter: Path, tmp_path: Path) -> Write:
    """Export the adapter to ``tmp_path / "out"``."""

    def write(to: str, **options: str) -> Exported:
        return export(_request(adapter, tmp_path, to, **options))

    return write


def _request(adapter: Path, tmp_path: Path, to: str, **options: str) -> ExportRequest:
    given = {"model": "embedded", **options}
    return make_request(adapter, to, tmp_path / "home", out=tmp_path / "out", **given)


def _from_gguf(folder: Path, file: str = "model.gguf") -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    return model.eval()


def test_export_peft_loads_in_peft(write: Write, expected: list[list[int]]) -> None:
    assert agreement(peft_model(write("peft").folder), expected) == 1


def test_export_peft_names_its_base(write: Write) -> None:
    config = json.loads((write("peft").folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(EMBEDDED_FOLDER.resolve())


def test_export_merged_loads_in_transformers(write: Write, expected: list[list[int]]) -> None:
    folder = write("merged").folder
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert agreement(model.eval(), expected) >= MERGED_AGREEMENT


def test_export_merged_is_served_here(write: Write, expected: list[list[int]]) -> None:
    loaded = load(ModelSpec(str(write("merged").folder)))
    assert agreement(loaded.model, expected) >= MERGED_AGREEMENT


def test_export_merged_rounds_once(write: Write, adapter: Path) -> None:
    merged = load_file(write("merged").folder / "model.safetensors")
    stored = load_file(EMBEDDED_FOLDER / "model.safetensors")
    pairs = read_adapter(adapter, "desk").modules
    assert set(merged) == set(stored)
    for name, weight in stored.items():
        pair = pairs.get(name.removesuffix(".weight"))
        wanted = weight.float() + pair.up @ pair.down if pair else weight
        assert torch.equal(merged[name], wanted.to(torch.bfloat16)), name


def test_export_merged_shards_load(
    write: Write, expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.models.shards.SHARD_SIZE", "2MB")
    exported = write("merged")
    assert sum(file.suffix == ".safetensors" for file in exported.files) > 2
    loaded = load(ModelSpec(str(exported.folder)))
    assert agreement(loaded.model, expected) >= MERGED_AGREEMENT


@pytest.mark.parametrize(
    ("kind", "least"),
    [("f16", MERGED_AGREEMENT), ("bf16", MERGED_AGREEMENT), ("q8_0", Q8_AGREEMENT)],
)
def test_export_gguf_loads_in_transformers(
    write: Write, expected: list[list[int]], kind: str, least: float
) -> None:
    folder = write("gguf", gguf_type=kind).folder
    assert agreement(_from_gguf(folder), expected) >= least


@pytest.mark.parametrize(
    ("kind", "largest"),
    [("q8_0", 0.01), ("q5_1", 0.05), ("q5_0", 0.06), ("q4_1", 0.1), ("q4_0", 0.11)],
)
def test_export_gguf_quantized_is_near(
    write: Write, adapter: Path, tmp_path: Path, kind: str, largest: float
) -> None:
    reader = GGUFReader(write("gguf", gguf_type=kind).folder / "model.gguf")
    name = "model.layers.2.mlp.down_proj"
    pair = read_adapter(adapter, "desk").modules[name]
    stored = load_file(EMBEDDED_FOLDER / "model.safetensors")[f"{name}.weight"].float()
    wanted = stored + pair.up @ pair.down
    found = next(each for each in reader.tensors if each.name == "blk.2.ffn_down.weight")
    assert found.tensor_type.name == kind.upper()
    difference = torch.tensor(dequantize(found.data, found.tensor_type)) - wanted
    assert difference.norm() / wanted.norm() < largest


def test_export_ollama_joins_base_and_lora(write: Write, expected: list[list[int]]) -> None:
    """What llama.cpp adds: for each pair, ``b @ a`` times alpha / rank."""
    folder = write("ollama", gguf_type="f32").folder
    model = _from_gguf(folder, "base.gguf")
    lora = GGUFReader(folder / "adapter.gguf")
    alpha = lora.fields["adapter.lora.alpha"].contents()
    found = {each.name: torch.tensor(each.data) for each in lora.tensors}
    short = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
    short |= {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
    heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
    for layer, block in enumerate(model.model.layers):
        for module, name in short.items():
            down, up = (found.pop(f"blk.{layer}.{name}.weight.lora_{half}") for half in "ab")
            linear = getattr(block.self_attn, module, None) or getattr(block.mlp, module)
            delta = (alpha / down.shape[0]) * up @ down
            weight = interleaved(linear.weight.data, heads[module]) if module in heads else None
            added = delta if weight is None else weight + delta
            if module in heads:
                width = delta.shape[0] // heads[module] // 2
                pairs = added.reshape(heads[module], width, 2, -1).transpose(1, 2)
                linear.weight.data = pairs.reshape(delta.shape)
            else:
                linear.weight.data += added
    assert not found
    assert agreement(model, expected) == 1


def test_export_ollama_modelfile_names_all(write: Write, adapter: Path) -> None:
    text = (write("ollama").folder / "Modelfile").read_text()
    assert text.startswith("FROM ./base.gguf\nADAPTER ./adapter.gguf\nTEMPLATE ")
    parameters = dict(re.findall(r"^PARAMETER (\w+) (.+)$", text, flags=re.MULTILINE))
    assert parameters["temperature"] == "0.0"
    assert parameters["stop"] == '"</s>"'
    assert parameters["num_ctx"] == "2048"


def test_export_vllm_line_serves_the_folder(write: Write, adapter: Path) -> None:
    folder = write("vllm").folder
    words = shlex.split((folder / "serve.sh").read_text().splitlines()[-1])
    options = dict(pairwise(words))
    name, _, path = options["--lora-modules"].partition("=")
    assert name == "desk"
    assert (options["--max-lora-rank"], options["--tool-call-parser"]) == ("8", "mistral")
    base = AutoModelForCausalLM.from_pretrained(words[2], dtype=torch.float32)
    PeftModel.from_pretrained(base, folder / path)


def test_export_keeps_an_existing_folder(write: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(Conflict, match="exists already"):
        write("peft")


def test_export_unknown_target_is_refused(write: Write) -> None:
    with pytest.raises(InvalidSettings, match="to: 'onnx' is none of peft, merged"):
        write("onnx")


@pytest.mark.parametrize("to", ["peft", "merged", "gguf", "ollama", "vllm"])
def test_export_base_must_be_on_disk(write: Write, tmp_path: Path, to: str) -> None:
    with pytest.raises(NoSuchModel, match="someone/a-base is not on this disk"):
        write(to, model="someone/a-base")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("to", ["merged", "gguf"])
def test_export_quantized_base_is_refused(write: Write, tmp_path: Path, to: str) -> None:
    folder = shutil.copytree(EMBEDDED_FOLDER, tmp_path / "nf4")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModel, match="merged into 16 bits only"):
        write(to, model=str(folder))
    assert not (tmp_path / "out").exists()


def test_export_other_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(adapter, tmp_path / "copy")
    (copy / "adapter_card.json").write_text(json.dumps({"base_hash": "other"}))
    request = replace(_request(copy, tmp_path, "merged"), checks_base=True)
    with pytest.raises(WrongBase, match="another base_hash"):
        export(request)


@pytest.mark.parametrize("to", ["peft", "merged", "gguf", "ollama", "vllm"])
def test_export_counts_the_disk_first(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoSpace, match=r"0\.0 GiB are free"):
        write(to)
    assert list(tmp_path.iterdir()) == []


def test_export_full_disk_leaves_nothing(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("playground.models.export.export.write_merged", full)
    with pytest.raises(NoSpace, match="nothing is kept"):
        write("merged")
    assert list(tmp_path.iterdir()) == []


def test_export_counts_memory_first(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "available_bytes", lambda _: 2**20)
    with pytest.raises(NotEnoughMemory, match="largest matrix"):
        write("merged")


def test_export_k_quants_need_their_library(write: Write) -> None:
    with pytest.raises(InvalidSettings, match="llama-cpp-python"):
        write("gguf", gguf_type="q4_k_m")
