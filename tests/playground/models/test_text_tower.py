"""Models with a vision tower, laid out as the hub has them: the text tower is loaded and served."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Ministral3Config,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralVisionConfig,
    PretrainedConfig,
)

from playground.backends.local import LocalBackend
from playground.errors import BrokenWeights
from playground.models.config import read_config
from playground.models.loader import load
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.plan import plan
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling, collect
from tests.playground.models.mistral_files import write_tokenizer

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 11,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}
LAYOUTS = ("hub", "transformers 5")
FAMILIES = ("mistral", "ministral3")


def _text_config(family: str, size: int) -> PretrainedConfig:
    if family == "mistral":
        return MistralConfig(vocab_size=size, sliding_window=None, **SHAPE)
    return Ministral3Config(vocab_size=size, rope_parameters=YARN, **SHAPE)


def write_wrapper(
    folder: Path, family: str, layout: str = "hub", *, tied: bool = False
) -> Mistral3ForConditionalGeneration:
    """A tiny Mistral 3 with a vision tower; the hub's names of weights begin with its parts."""
    write_tokenizer(folder, "v13")
    text = _text_config(family, MistralTokenizer(folder).vocabulary_size)
    vision = PixtralVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        head_dim=8,
        image_size=28,
        patch_size=14,
    )
    torch.manual_seed(0)
    config = Mistral3Config(text_config=text, vision_config=vision, tie_word_embeddings=tied)
    model = Mistral3ForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    document = json.loads((folder / "config.json").read_text())
    document["text_config"].pop("tie_word_embeddings", None)
    (folder / "config.json").write_text(json.dumps(document))
    weights = {_as_laid_out(name, layout): each for name, each in model.state_dict().items()}
    if tied:
        weights = {name: each for name, each in weights.items() if "lm_head" not in name}
    save_file(
        {name: each.clone() for name, each in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    return model


def _as_laid_out(name: str, layout: str) -> str:
    if layout != "hub":
        return name
    if name.startswith("lm_head."):
        return f"language_model.{name}"
    name = name.removeprefix("model.")
    return name.replace("language_model.", "language_model.model.", 1)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [False, True])
def test_text_tower_computes_what_the_whole_does(
    tmp_path: Path, family: str, layout: str, tied: bool
) -> None:
    whole = write_wrapper(tmp_path, family, layout, tied=tied)
    tower = load(ModelSpec(str(tmp_path), precision="fp32", device="cpu")).model
    ids = torch.tensor([[1, 3, 300, 301, 302, 4] * 10])
    with torch.inference_mode():
        expected = whole(input_ids=ids).logits
        assert torch.allclose(tower(ids).logits, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
async def test_text_tower_is_served_greedily(tmp_path: Path, family: str) -> None:
    whole = write_wrapper(tmp_path, family)
    loaded = load(ModelSpec(str(tmp_path), precision="fp32", device="cpu"))
    prompt = loaded.tokenizer.render([Message("user", "Hello " * 40)])
    ids = torch.tensor([prompt])
    expected = whole.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=None,
    )[0, len(prompt) :].tolist()
    with LocalBackend(loaded) as backend:
        sampling = Sampling(temperature=0, max_tokens=12, logprobs=0, ignore_eos=True)
        name = backend.default_model.name
        asked = Request(name, (Message("user", "Hello " * 40),), sampling=sampling)
        answer = await collect(backend.stream(asked))
    assert [token.token_id for token in answer.logprobs] == expected


@pytest.mark.slow
def test_text_tower_is_planned_alone(tmp_path: Path) -> None:
    whole = write_wrapper(tmp_path, "mistral")
    planned = plan(ModelSpec(str(tmp_path), device="cpu"))
    vision = sum(each.numel() for name, each in whole.named_parameters() if "vision" in name)
    projector = sum(each.numel() for name, each in whole.named_parameters() if "projector" in name)
    assert planned.parameters == whole.num_parameters() - vision - projector


@pytest.mark.slow
def test_wrapper_hands_its_quantization_on(tmp_path: Path) -> None:
    write_wrapper(tmp_path, "ministral3")
    document = json.loads((tmp_path / "config.json").read_text())
    document["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "static"}
    (tmp_path / "config.json").write_text(json.dumps(document))
    config = read_config(tmp_path)
    assert config.model_type == "ministral3"
    assert config.quantization_config == document["quantization_config"]


@pytest.mark.slow
def test_missing_weights_of_the_tower_are_named(tmp_path: Path) -> None:
    write_wrapper(tmp_path, "mistral")
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["language_model.model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(BrokenWeights, match=r"layers\.1\.mlp\.up_proj"):
        load(ModelSpec(str(tmp_path), device="cpu"))
