"""GGUF files: planned from their header, converted once, loaded with the tokenizer inside."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from playground.errors import BrokenWeights, NoSpace, UnsupportedModel
from playground.models.conversion import convert
from playground.models.conversion.convert import as_model_folder, choose_gguf
from playground.models.loader import load
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.plan import plan
from playground.models.spec import ModelSpec
from playground.protocol import Message, Tool
from tests.playground.models.conversion.stored import YARN, logits, write_gguf, write_original
from tests.playground.models.mistral_files import TEKKEN_VERSIONS

TOOL = Tool("weather", "Say the weather.", {"type": "object", "properties": {}})
CONVERSATION = [Message("system", "Be brief."), Message("user", "What's up in Zürich, 2024?")]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "error"), [("f32", 1e-4), ("f16", 1e-2), ("q8_0", 0.1)])
def test_gguf_computes_what_the_original_does(tmp_path: Path, kind: str, error: float) -> None:
    original = write_original(tmp_path / "original")
    path = tmp_path / f"tiny-{kind}.gguf"
    write_gguf(tmp_path / "original", original, path, kind)  # type: ignore[arg-type]
    spec = ModelSpec(str(path), precision="fp32", device="cpu")
    planned = plan(spec, home=tmp_path)
    assert not (tmp_path / "models").exists()  # planning converts nothing
    loaded = load(spec, home=tmp_path)
    wanted = logits(original)
    assert (logits(loaded.model) - wanted).norm() <= error * wanted.norm()
    assert planned.parameters == original.num_parameters()
    assert loaded.name == f"tiny-{kind}"
    assert load(spec, home=tmp_path).folder == loaded.folder  # converted once


@pytest.mark.slow
@pytest.mark.parametrize("version", TEKKEN_VERSIONS[:-1])
def test_tekken_gets_its_own_file_back(tmp_path: Path, version: str) -> None:
    original = write_original(tmp_path / "original", version)
    write_gguf(tmp_path / "original", original, tmp_path / "tiny.gguf", "f32")
    found = MistralTokenizer(as_model_folder(tmp_path / "tiny.gguf", tmp_path))
    wanted = MistralTokenizer(tmp_path / "original")
    assert found.call_format == wanted.call_format
    assert found.render(CONVERSATION, [TOOL]) == wanted.render(CONVERSATION, [TOOL])
    assert found.end_ids == wanted.end_ids


@pytest.mark.slow
def test_mistral3_architecture_keeps_its_scaling(tmp_path: Path) -> None:
    original = write_original(tmp_path / "original", "v13", yarn=True)
    path = tmp_path / "tiny.gguf"
    config = original.config
    plain, config.rope_parameters = config.rope_parameters, {"rope_theta": 1e6}
    config.model_type = "mistral"
    write_gguf(tmp_path / "original", original, path, "f32")
    config.rope_parameters, config.model_type = plain, "ministral3"
    as_mistral3(path, tmp_path / "three.gguf")
    spec = ModelSpec(str(tmp_path / "three.gguf"), precision="fp32", device="cpu")
    loaded = load(spec, home=tmp_path)
    assert loaded.model.config.model_type == "ministral3"
    torch.testing.assert_close(logits(loaded.model), logits(original), rtol=1e-4, atol=1e-4)


def as_mistral3(path: Path, target: Path) -> None:
    """Copy a file of the architecture llama as one of mistral3, with llama.cpp's keys of YaRN."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(target, "mistral3")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        kind = field.types[0]
        sub_type = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(
            name.replace("llama.", "mistral3.", 1), field.contents(), kind, sub_type
        )
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(YARN["factor"])
    writer.add_rope_scaling_orig_ctx_len(YARN["original_max_position_embeddings"])
    writer.add_rope_scaling_yarn_beta_fast(YARN["beta_fast"])
    writer.add_rope_scaling_yarn_beta_slow(YARN["beta_slow"])
    writer.add_float32("mistral3.attention.temperature_scale", YARN["llama_4_scaling_beta"])
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.slow
def test_damaged_file_is_named(tmp_path: Path) -> None:
    original = write_original(tmp_path / "original")
    path = tmp_path / "tiny.gguf"
    write_gguf(tmp_path / "original", original, path, "f16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenWeights, match=r"tiny\.gguf is no complete GGUF file"):
        as_model_folder(path, tmp_path)
    path.write_bytes(b"not a model")
    with pytest.raises(BrokenWeights, match=r"tiny\.gguf is no complete GGUF file"):
        plan(ModelSpec(str(path)), home=tmp_path)


def test_unknown_architecture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(path, "oddity")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedModel, match="the architecture 'oddity' is not read from GGUF"):
        plan(ModelSpec(str(path)), home=tmp_path)


@pytest.mark.slow
def test_full_disk_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = write_original(tmp_path / "original")
    write_gguf(tmp_path / "original", original, tmp_path / "tiny.gguf", "f16")
    monkeypatch.setattr(convert, "MARGIN_BYTES", 2**60)
    with pytest.raises(NoSpace, match="is converted into"):
        as_model_folder(tmp_path / "tiny.gguf", tmp_path)


def test_part_of_several_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big-00001-of-00003.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(UnsupportedModel, match="llama-gguf-split"):
        as_model_folder(path, tmp_path)


def test_gguf_of_several_is_chosen_by_type() -> None:
    names = ["a-Q8_0.gguf", "a-Q4_K_M.gguf", "mmproj-a-f16.gguf"]
    assert choose_gguf(names, "here") == "a-Q4_K_M.gguf"
    assert choose_gguf(names, "here", "q8_0") == "a-Q8_0.gguf"
    assert choose_gguf(names[1:], "here") == "a-Q4_K_M.gguf"
    assert choose_gguf([], "here") is None
    with pytest.raises(UnsupportedModel, match=r"here has no GGUF files of Q5_0; name one of a-Q4"):
        choose_gguf(names, "here", "Q5_0")
