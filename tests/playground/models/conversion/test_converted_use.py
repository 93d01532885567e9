"""GGUF files and GPTQ folders are used as any model: tools, JSON, training, exports."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.dataset import TrainingData
from finetune.data.examples import to_examples
from finetune.data.training_row import Conversation
from finetune.presets import recipe_for
from finetune.training.train import train
from playground.backends.local import LocalBackend
from playground.errors import UnsupportedModel
from playground.models.export.export import export
from playground.models.export.request import make_request
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import (
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    collect,
)
from tests.playground.models.conversion.stored import write_gguf, write_original
from tests.playground.models.integer_folders import FORMS, write_integers

SCHEMA = {
    "type": "object",
    "properties": {"days": {"enum": [1, 2, 30]}},
    "required": ["days"],
    "additionalProperties": False,
}
QUESTION = (Message("user", "Hi"),)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    original = write_original(home / "original", "v11")
    write_gguf(home / "original", original, home / "tiny.gguf", "f16")
    return home


@pytest.fixture(scope="module")
def loaded(home: Path) -> LoadedModel:
    return load(ModelSpec(str(home / "tiny.gguf"), precision="fp32", device="cpu"), home=home)


@pytest.fixture
def backend(loaded: LoadedModel) -> Iterator[LocalBackend]:
    with LocalBackend(loaded) as backend:
        yield backend


async def test_gguf_calls_tools(backend: LocalBackend) -> None:
    sampling = Sampling(temperature=1, max_tokens=60, seed=1)
    tool = Tool("weather", "The weather", SCHEMA)
    request = Request(
        "tiny", QUESTION, tools=(tool,), tool_choice=ToolChoice("required"), sampling=sampling
    )
    answer = await collect(backend.stream(request))
    assert answer.calls[0].name == "weather"
    assert json.loads(answer.calls[0].arguments)["days"] in (1, 2, 30)


async def test_gguf_answers_json(backend: LocalBackend) -> None:
    sampling = Sampling(temperature=1, max_tokens=60, seed=1)
    form = ResponseFormat(SCHEMA, strict=True)
    request = Request("tiny", QUESTION, response_format=form, sampling=sampling)
    answer = await collect(backend.stream(request))
    assert json.loads(answer.text)["days"] in (1, 2, 30)


@pytest.mark.training
def test_gguf_is_trained_and_exported(home: Path, loaded: LoadedModel, tmp_path: Path) -> None:
    source = str(home / "tiny.gguf")
    recipe = replace(recipe_for(source, home=home), num_train_epochs=4.0, eval_fraction=0.0)
    row = Conversation((*QUESTION, Message("assistant", "Hello!")), (), 1)
    data = TrainingData.of(to_examples(row, loaded.tokenizer))
    trained = train(recipe, loaded, data, tmp_path / "run", "hello")
    assert trained.folder
    made = export(make_request(trained.folder, "merged", home, out=tmp_path / "merged"))
    merged = load(ModelSpec(str(made.folder), precision="fp32", device="cpu"))
    assert merged.model.num_parameters() == loaded.model.num_parameters()
    made = export(make_request(trained.folder, "peft", home, out=tmp_path / "peft"))
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert Path(config["base_model_name_or_path"]) == loaded.folder


@pytest.mark.training
def test_gptq_is_served_trained_and_exported(home: Path, tmp_path: Path) -> None:
    """What was trained leaves as a PEFT folder; it is not merged into integers."""
    source = tmp_path / "gptq"
    write_integers(home / "original", source, FORMS["gptq"])
    loaded = load(ModelSpec(str(source), precision="fp32", device="cpu"), home=tmp_path)
    recipe = recipe_for(str(source), loaded.spec.quantization, home=tmp_path)
    recipe = replace(recipe, num_train_epochs=4.0, eval_fraction=0.0, optim="adamw_torch")
    row = Conversation((*QUESTION, Message("assistant", "Hello!")), (), 1)
    data = TrainingData.of(to_examples(row, loaded.tokenizer))
    trained = train(recipe, loaded, data, tmp_path / "run", "hello")
    assert trained.folder
    made = export(make_request(trained.folder, "peft", tmp_path, out=tmp_path / "peft"))
    with LocalBackend(loaded) as backend:
        backend.load_adapter(made.folder, "hello")
        form = ResponseFormat(SCHEMA, strict=True)
        request = Request("hello", QUESTION, response_format=form, sampling=Sampling(seed=1))
        answer = asyncio.run(collect(backend.stream(request)))
    assert json.loads(answer.text)["days"] in (1, 2, 30)
    with pytest.raises(UnsupportedModel, match=r"stored quantized \(gptq\)"):
        export(make_request(trained.folder, "merged", tmp_path, out=tmp_path / "merged"))
