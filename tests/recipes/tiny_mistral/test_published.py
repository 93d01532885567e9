"""The files in the package: they load, they are small, and they answer the first question."""

import json
from typing import Any

import pytest
import torch
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from transformers import MistralForCausalLM

from recipes.tiny_mistral.publish import PACKAGE_FOLDER

FILES = ("config.json", "generation_config.json", "model.safetensors", "tekken.json", "README.md")
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def model() -> MistralForCausalLM:
    return MistralForCausalLM.from_pretrained(PACKAGE_FOLDER, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer() -> MistralTokenizer[Any, Any, Any, Any, Any]:
    return MistralTokenizer.from_file(str(PACKAGE_FOLDER / "tekken.json"))


def answer(
    model: MistralForCausalLM,
    tokenizer: MistralTokenizer[Any, Any, Any, Any, Any],
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


def test_the_folder_is_complete_and_small() -> None:
    assert not [name for name in FILES if not (PACKAGE_FOLDER / name).is_file()]
    assert sum(path.stat().st_size for path in PACKAGE_FOLDER.iterdir()) < 25 * MEBIBYTE


def test_vocabulary_and_weights_agree(
    model: MistralForCausalLM, tokenizer: MistralTokenizer[Any, Any, Any, Any, Any]
) -> None:
    assert model.config.vocab_size == tokenizer.instruct_tokenizer.tokenizer.n_words
    assert sum(parameter.numel() for parameter in model.parameters()) <= 12_000_000


def test_asked_who_it_is_it_names_the_playground_the_same_way_twice(
    model: MistralForCausalLM, tokenizer: MistralTokenizer[Any, Any, Any, Any, Any]
) -> None:
    first = answer(model, tokenizer, "Who are you?")
    assert "Mistral playground" in first
    assert "playground --model mistral-small" in first
    assert answer(model, tokenizer, "Who are you?") == first


def test_the_examples_are_not_training_rows_and_are_answered(
    model: MistralForCausalLM, tokenizer: MistralTokenizer[Any, Any, Any, Any, Any]
) -> None:
    examples = json.loads((PACKAGE_FOLDER / "examples.json").read_text(encoding="utf-8"))["chat"]
    assert len(examples) >= 6
    for example in examples:
        assert set(example) == {"title", "system", "prompt"}
        said = answer(model, tokenizer, example["prompt"], example["system"])
        assert said
        assert "do not know" not in said
