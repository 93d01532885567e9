"""The fused forward computes what transformers computes, for every model that it takes over."""

from collections.abc import Callable, Mapping

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Ministral3Config,
    Ministral3ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from playground.engine.batch import ScheduledChunk
from playground.engine.fused_llama import FusedLlamaForward, is_fusable
from playground.engine.kv_cache import SequenceCache
from playground.engine.linear import PackedLinear, can_pack
from playground.engine.lora import AdapterBank
from playground.engine.runner import PackedRunner, choose_runner

SIZES: Mapping[str, int] = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
MODELS: Mapping[str, Callable[[], PreTrainedModel]] = {
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=None)),
    "mistral, wide heads": lambda: MistralForCausalLM(
        MistralConfig(**SIZES, sliding_window=None, head_dim=32, tie_word_embeddings=True)
    ),
    "mistral, window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=24)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama, biases": lambda: LlamaForCausalLM(
        LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True)
    ),
    "llama 3's rope": lambda: LlamaForCausalLM(
        LlamaConfig(
            **SIZES,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 1e4,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 256,
            },
        )
    ),
    "ministral 3": lambda: Ministral3ForCausalLM(
        Ministral3Config(
            **SIZES,
            head_dim=16,
            pad_token_id=None,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 1e6,
                "factor": 16.0,
                "original_max_position_embeddings": 20,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "llama_4_scaling_beta": 0.4,
            },
        )
    ),
}
PROMPT = torch.randint(1, 512, (90,), generator=torch.Generator().manual_seed(3)).tolist()


def random(name: str) -> PreTrainedModel:
    torch.manual_seed(1)
    model = MODELS[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1) if parameter.ndim == 1 else None
    return model.eval()


def packed_runner(model: PreTrainedModel) -> PackedRunner:
    runner = choose_runner(model)
    assert isinstance(runner, PackedRunner)
    return runner


def in_two_steps(runner: PackedRunner) -> torch.Tensor:
    """Logits after the prompt, whose beginning was computed before, beside another sequence."""
    cache, other = SequenceCache(), SequenceCache()
    cache.reserve(128)
    other.reserve(128)
    runner.forward([ScheduledChunk(cache, PROMPT[:60], 0, wants_logits=False)])
    runner.forward([ScheduledChunk(cache, PROMPT[60:-1], 60, wants_logits=True)])
    logits = runner.forward(
        [
            ScheduledChunk(other, PROMPT[:7], 0, wants_logits=True),
            ScheduledChunk(cache, PROMPT[-1:], len(PROMPT) - 1, wants_logits=True),
        ]
    )
    return logits[1]


@pytest.mark.parametrize("name", MODELS)
def test_fused_logits_equal_transformers(name: str) -> None:
    model = random(name)
    assert is_fusable(model)
    with torch.inference_mode():
        expected = model(torch.tensor([PROMPT])).logits[0, -1]
    torch.testing.assert_close(in_two_steps(packed_runner(model)), expected, atol=2e-5, rtol=2e-5)


def test_bf16_logits_are_as_exact() -> None:
    model = random("mistral")
    with torch.inference_mode():
        exact = model(torch.tensor([PROMPT])).logits[0, -1]
        model = model.bfloat16()
        theirs = model(torch.tensor([PROMPT])).logits[0, -1].float()
    ours = in_two_steps(packed_runner(model))
    assert (ours - exact).abs().max() <= 1.5 * (theirs - exact).abs().max()


def test_unpacked_matmuls_give_the_same() -> None:
    model = random("llama, biases")
    runner = packed_runner(model)
    packed = in_two_steps(runner)
    runner._forward = FusedLlamaForward(model, AdapterBank(model, 2), packed=False)
    torch.testing.assert_close(in_two_steps(runner), packed, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("inputs", [64, 256, 768, 1024])
def test_packed_rows_are_independent(inputs: int) -> None:
    assert can_pack(torch.float32, torch.device("cpu"))
    generator = torch.Generator().manual_seed(inputs)
    linear = PackedLinear(torch.randn(384, inputs, generator=generator))
    rows = torch.randn(300, inputs, generator=generator)
    expected = linear(rows)
    for count in (2, 4, 6, 16, 34, 128, 256):
        assert torch.equal(linear(rows[:count]), expected[:count])


def test_dynamic_rope_is_not_fusable() -> None:
    config = LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    )
    assert not is_fusable(LlamaForCausalLM(config))
