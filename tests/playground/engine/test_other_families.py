"""Any causal LM answers as transformers generates: packed where that is right, alone elsewhere."""

import asyncio
import logging
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

from playground.backends.chat import answer
from playground.engine import Engine, Limits
from playground.models.loaded import LoadedModel
from playground.models.spec import ModelSpec
from playground.protocol import ModelInfo, Request, Sampling

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 11,
}
PACKED: dict[str, dict[str, Any]] = {
    "qwen2": SIZES,
    "qwen3": SIZES,
    "phi3": SIZES,
    "olmo2": SIZES,
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "eos_token_id": None},
}
ALONE: dict[str, dict[str, Any]] = {
    "gemma2": SIZES,
    "mamba": {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8, "eos_token_id": None},
    "bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4, "eos_token_id": None},
    "gptj": {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "eos_token_id": None},
}
NEW = 12
RNG = torch.Generator().manual_seed(5)
PROMPTS = [torch.randint(20, 500, (n,), generator=RNG).tolist() for n in (3, 40, 17, 300, 9)]


def random(kind: str, sizes: dict[str, Any], vocabulary: int) -> PreTrainedModel:
    config = CONFIG_MAPPING[kind](vocab_size=vocabulary, **sizes)
    torch.manual_seed(2)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=2 * parameter.shape[1] ** -0.5)
    return model.eval()


async def engine_and_transformers(
    kind: str, sizes: dict[str, Any], loaded: LoadedModel
) -> tuple[list[list[int]], list[list[int]]]:
    """What the engine answers to all prompts at once, and what `generate` does to each alone."""
    model = random(kind, sizes, loaded.tokenizer.vocabulary_size)
    expected = [
        model.generate(
            torch.tensor([ids]), max_new_tokens=NEW, do_sample=False, pad_token_id=11
        )[0, len(ids) :].tolist()
        for ids in PROMPTS
    ]  # fmt: skip
    end = min(loaded.tokenizer.end_ids)
    expected = [ids[: ids.index(end)] if end in ids else ids for ids in expected]
    own = LoadedModel(kind, ModelSpec(kind), model, loaded.tokenizer, 512, "random")
    sampling = Sampling(temperature=0.0, max_tokens=NEW, logprobs=0)
    with Engine(own, ModelInfo(kind, 512, created=1), Limits(kv_cache_gib=0.1)) as engine:
        asked = [Request(kind, prompt=tuple(ids), sampling=sampling) for ids in PROMPTS]
        got = await asyncio.gather(*(answer(engine, each) for each in asked))
    return [[token.token_id for token in each.logprobs] for each in got], expected


@pytest.mark.parametrize("kind", PACKED)
async def test_families_on_the_attention_interface_share_steps(
    kind: str, loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    got, expected = await engine_and_transformers(kind, PACKED[kind], loaded)
    assert got == expected
    assert "one sequence" not in caplog.text


@pytest.mark.parametrize("kind", ALONE)
async def test_other_families_answer_alone_and_say_so(
    kind: str, loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "playground"):
        got, expected = await engine_and_transformers(kind, ALONE[kind], loaded)
    assert got == expected
    assert "one sequence after another" in caplog.text
