"""What is measured: models of a known shape with random weights, which need no download.

Random weights never end an answer, so that every stream gives as many tokens as were asked for.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import MistralConfig, MistralForCausalLM

from playground.errors import InvalidSettings
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.loaded import LoadedModel
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.spec import ModelSpec

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CONTEXT = 4096
SEED = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Mistral model; its vocabulary is the embedded model's."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int


SHAPES = {
    "embedded": Shape(256, 4, 8, 2, 768),
    "350m": Shape(1024, 24, 16, 8, 2816),
}


def random_model(shape: Shape, dtype: torch.dtype) -> MistralForCausalLM:
    """The same weights for the same shape; scaled so that the likeliest token is never a tie."""
    vocabulary = MistralTokenizer(EMBEDDED_FOLDER).vocabulary_size
    config = MistralConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.hidden // shape.heads,
        max_position_embeddings=CONTEXT,
        sliding_window=None,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=11,
    )
    torch.manual_seed(SEED)
    model = MistralForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                scale = 1.0 if "embed" in name else parameter.shape[1] ** -0.5
                parameter.normal_(std=scale)
    return model.to(dtype).eval()


def loaded_shape(name: str, precision: str) -> LoadedModel:
    """A model of this shape as the loader would hand it over. Raises `InvalidSettings`."""
    if name not in SHAPES or precision not in DTYPES:
        raise InvalidSettings(
            f"bench: shapes are {', '.join(SHAPES)}; precisions are {', '.join(DTYPES)}"
        )
    return LoadedModel(
        name=name,
        spec=ModelSpec(name),
        folder=EMBEDDED_FOLDER,
        model=random_model(SHAPES[name], DTYPES[precision]),
        tokenizer=MistralTokenizer(EMBEDDED_FOLDER),
        context_length=CONTEXT,
        weights_hash="random",
    )


def random_adapters(name: str, folder: Path, count: int, rank: int = 16) -> list[Path]:
    """``count`` LoRA adapters on every linear module, saved as PEFT saves them."""
    paths = []
    for index in range(count):
        model = random_model(SHAPES[name], torch.float32)
        torch.manual_seed(index)
        config = LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM")
        peft = get_peft_model(model, config)
        with torch.no_grad():
            for key, parameter in peft.named_parameters():
                if "lora_B" in key:
                    parameter.normal_(std=0.02)
        path = folder / f"adapter-{index}"
        peft.save_pretrained(str(path))
        paths.append(path)
    return paths
