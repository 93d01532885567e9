"""The published folder: it loads, it is small, and the model answers its examples."""

import json
import shutil
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from transformers import MistralForCausalLM

from playground.models.catalogue import EMBEDDED_FOLDER
from recipes.tiny_mistral.checkpoint import CHECKPOINT_FILE, TOKENIZER_FILE, trained_model
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.pretrain import PreTrainer
from recipes.tiny_mistral.publish import publish, regression_jsonl, replay_jsonl
from recipes.tiny_mistral.rendering import Renderer

FILES = ("config.json", "generation_config.json", "model.safetensors", "tekken.json", "README.md")
MEBIBYTE = 1024 * 1024
Tokenizer: TypeAlias = "MistralTokenizer[Any, Any, Any, Any, Any]"


@pytest.fixture(scope="module")
def model() -> MistralForCausalLM:
    return MistralForCausalLM.from_pretrained(EMBEDDED_FOLDER, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return MistralTokenizer.from_file(str(EMBEDDED_FOLDER / "tekken.json"))


def answer(
    model: MistralForCausalLM,
    tokenizer: Tokenizer,
    question: str,
    system: str | None = None,
) -> str:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    prompt = tokenizer.encode_chat_completion(ChatCompletionRequest(messages=messages)).tokens
    with torch.no_grad():
        ids = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=120,
            do_sample=False,
        )
    return tokenizer.decode(ids[0, len(prompt) :].tolist())


def test_published_folder_is_complete_and_small() -> None:
    assert not [name for name in FILES if not (EMBEDDED_FOLDER / name).is_file()]
    assert sum(path.stat().st_size for path in EMBEDDED_FOLDER.iterdir()) < 25 * MEBIBYTE


def test_data_files_are_reproducible() -> None:
    for name, content in (("replay", replay_jsonl()), ("regression", regression_jsonl())):
        published = (EMBEDDED_FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
        assert content == published, name


def test_vocabulary_and_weights_agree(model: MistralForCausalLM, tokenizer: Tokenizer) -> None:
    assert model.config.vocab_size == tokenizer.instruct_tokenizer.tokenizer.n_words
    assert sum(parameter.numel() for parameter in model.parameters()) <= 12_000_000


@pytest.mark.slow
def test_model_names_the_playground_reproducibly(
    model: MistralForCausalLM, tokenizer: Tokenizer
) -> None:
    first = answer(model, tokenizer, "Who are you?")
    assert "Mistral playground" in first
    assert "playground --model mistral-small" in first
    assert answer(model, tokenizer, "Who are you?") == first


@pytest.mark.slow
def test_chat_examples_are_answered(model: MistralForCausalLM, tokenizer: Tokenizer) -> None:
    examples = json.loads((EMBEDDED_FOLDER / "examples.json").read_text(encoding="utf-8"))["chat"]
    assert len(examples) >= 6
    for example in examples:
        assert set(example) == {"title", "system", "prompt"}
        text = answer(model, tokenizer, example["prompt"], example["system"])
        assert text
        assert "do not know" not in text


@pytest.mark.slow
def test_publish_writes_a_loadable_folder(
    tiny_recipe: PretrainingRecipe, tekken: Path, renderer: Renderer, tmp_path: Path
) -> None:
    build, folder = tmp_path / "build", tmp_path / "published"
    build.mkdir()
    shutil.copy(tekken, build / TOKENIZER_FILE)
    PreTrainer(tiny_recipe, renderer).save(build / CHECKPOINT_FILE)
    publish(tiny_recipe, build, folder)
    published = MistralForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = trained_model(tiny_recipe, build).to(torch.bfloat16).to(torch.float32).state_dict()
    for name, tensor in published.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
