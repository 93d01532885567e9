"""Any causal LM answers as transformers generates: packed where that is right, alone elsewhere."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

from playground.engine import Engine, Limits
from playground.models.adapters import read_adapter
from playground.models.loaded import LoadedModel
from playground.models.spec import ModelSpec
from playground.protocol import Sampling
from tests.playground.engine.driver import Prompt, generate_all, token_ids

Sizes = Mapping[str, int | None]
SIZES: Sizes = {
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
PACKED: Mapping[str, Sizes] = {
    "qwen2": SIZES,
    "qwen3": SIZES,
    "phi3": SIZES,
    "olmo2": SIZES,
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "eos_token_id": None},
}
ALONE: Mapping[str, Sizes] = {
    "gemma2": SIZES,
    "mamba": {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8, "eos_token_id": None},
    "bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4, "eos_token_id": None},
    "gptj": {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "eos_token_id": None},
}
NEW = 12
RNG = torch.Generator().manual_seed(5)
PROMPTS = [torch.randint(20, 500, (n,), generator=RNG).tolist() for n in (3, 40, 17, 300, 9)]


def random(kind: str, sizes: Sizes, vocabulary: int) -> PreTrainedModel:
    config = CONFIG_MAPPING[kind](vocab_size=vocabulary, **sizes)
    torch.manual_seed(2)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=2 * parameter.shape[1] ** -0.5)
    return model.eval()


def in_engine(model: PreTrainedModel, kind: str, loaded: LoadedModel) -> LoadedModel:
    return LoadedModel(kind, ModelSpec(kind), loaded.folder, model, loaded.tokenizer, 512, "random")


def generated(model: PreTrainedModel, loaded: LoadedModel) -> list[list[int]]:
    """Generate after each prompt alone, by transformers."""
    expected = [
        model.generate(
            input_ids=torch.tensor([ids]), max_new_tokens=NEW, do_sample=False, pad_token_id=11
        )[0, len(ids) :].tolist()
        for ids in PROMPTS
    ]
    end = min(loaded.tokenizer.end_ids)
    return [ids[: ids.index(end)] if end in ids else ids for ids in expected]


def engine_and_transformers(
    kind: str, sizes: Sizes, loaded: LoadedModel
) -> tuple[list[list[int]], list[list[int]]]:
    """Generate after all prompts at once in the engine, and after each alone by transformers."""
    model = random(kind, sizes, loaded.tokenizer.vocabulary_size)
    expected = generated(model, loaded)
    sampling = Sampling(temperature=0.0, logprobs=0)
    prompts = [Prompt(ids, sampling, max_tokens=NEW) for ids in PROMPTS]
    with Engine(in_engine(model, kind, loaded), Limits(kv_cache_gib=0.1)) as engine:
        return token_ids(generate_all(engine, prompts)), expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", PACKED)
def test_attention_interface_families_are_packed(
    kind: str, loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    got, expected = engine_and_transformers(kind, PACKED[kind], loaded)
    assert got == expected
    assert "one sequence" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALONE)
def test_other_families_answer_alone_and_say_so(
    kind: str, loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "playground"):
        got, expected = engine_and_transformers(kind, ALONE[kind], loaded)
    assert got == expected
    assert "one sequence after another" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen2", "gemma2"])
def test_adapters_reach_modules_that_transformers_calls(
    kind: str, loaded: LoadedModel, tmp_path: Path
) -> None:
    sizes = {**PACKED, **ALONE}[kind]
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    tuned = get_peft_model(random(kind, sizes, loaded.tokenizer.vocabulary_size), config)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3, generator=generator)
    tuned.save_pretrained(tmp_path)
    adapter = read_adapter(tmp_path)
    base = random(kind, sizes, loaded.tokenizer.vocabulary_size)
    expected = [generated(base, loaded), generated(tuned, loaded)]
    prompts = [
        Prompt(ids, max_tokens=NEW, adapter=each) for each in (None, adapter) for ids in PROMPTS
    ]
    with Engine(in_engine(base, kind, loaded), Limits(kv_cache_gib=0.1)) as engine:
        got = token_ids(generate_all(engine, prompts))
    assert got == [*expected[0], *expected[1]]
    assert expected[0] != expected[1]
