"""GGUF files, unpacked into safetensors.

Of the architectures `llama` (Mistral's until 2025, Llama's) and `mistral3` (Ministral 3, Devstral
Small 2) tensors are unpacked one after another. All others are read by transformers, which holds
the whole model in memory meanwhile. Files in 16 or 32 bits keep their values; blocks become bf16.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    Ministral3Config,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils.quantization_config import GgufConfig

from playground.errors import BrokenWeights, NotEnoughMemory, UnsupportedModel
from playground.models.conversion.gguf_tokenizer import restored_tekken, restored_template
from playground.models.conversion.rotary import half_split
from playground.models.shards import Layout, stored_bytes, write_shards

BROKEN = (ValueError, IndexError, KeyError, OSError, AttributeError, TypeError, OverflowError)
"""What gguf and transformers raise for files that are cut or damaged."""
UNPACKED = ("llama", "mistral3")
SHARD = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
OUTER_NAMES: Mapping[str, str] = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES: Mapping[str, str] = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_up": "mlp.up_proj",
}
LAYER = re.compile(r"blk\.(\d+)\.(.+)\.weight")


class GgufReader(gguf.GGUFReader):
    """Reads from a plain array over the mapped file. gguf 0.19 cuts each token and each merge out
    of a `numpy.memmap`, which takes two and a half times as long: seconds for large vocabularies.
    """

    @property  # type: ignore[override]
    def data(self) -> npt.NDArray[np.uint8]:
        """The bytes of the file."""
        return self._data

    @data.setter
    def data(self, mapped: npt.NDArray[np.uint8]) -> None:
        self._data = np.asarray(mapped)


class GgufFile:
    """A GGUF file, which is read when it is first asked for something: one that was converted
    before is not. Raises `BrokenWeights` for a damaged one, and `UnsupportedModel` for a part of
    several or an architecture that is not read.
    """

    form = "GGUF"

    def __init__(self, path: Path) -> None:
        if SHARD.search(path.name):
            raise UnsupportedModel(
                f"{path} is one of several parts; join them with llama.cpp's "
                "llama-gguf-split --merge"
            )
        self.path = path
        self.files = [path]

    @cached_property
    def _opened(self) -> tuple[GgufReader, str]:
        """The reader, and the architecture."""
        try:
            reader = GgufReader(self.path)
            field = reader.get_field("general.architecture")
            return reader, str(field and field.contents())
        except BROKEN as error:
            raise BrokenWeights(
                f"{self.path} is no complete GGUF file ({error}); download it again"
            ) from error

    @property
    def _reader(self) -> GgufReader:
        return self._opened[0]

    @property
    def _architecture(self) -> str:
        return self._opened[1]

    @cached_property
    def _is_unpacked(self) -> bool:
        return self._architecture in UNPACKED

    def config(self) -> PretrainedConfig:
        """Return the config of the model that it becomes."""
        config = self._own_config() if self._is_unpacked else self._transformers_config()
        config.dtype = str(self._dtype).removeprefix("torch.")
        return config

    def nbytes(self) -> int:
        """Return the bytes of the converted weights."""
        if self._is_unpacked:
            return stored_bytes(self._layout())
        elements = sum(int(tensor.n_elements) for tensor in self._reader.tensors)
        return elements * self._dtype.itemsize

    def write(self, folder: Path) -> None:
        """Write config, tokenizer and weights into an existing folder."""
        config = self.config()
        if self._is_unpacked:
            config.architectures = [f"{type(config).__name__.removesuffix('Config')}ForCausalLM"]
            config.save_pretrained(folder)
            write_shards(self._layout(), self._tensors(config), folder)
        else:
            self._check_memory()
            read_by_transformers(self.path, self._dtype).save_pretrained(folder)
        self._write_tokenizer(folder)

    def _write_tokenizer(self, folder: Path) -> None:
        """Mistral's own file where the vocabulary is Tekken's, and the fast tokenizer otherwise."""
        tokens = self._field("tokenizer.ggml.tokens")
        if not tokens:
            raise UnsupportedModel(f"{self.path} has no tokenizer in it")
        if self._field("tokenizer.ggml.pre") == "tekken":
            types = self._field("tokenizer.ggml.token_type")
            template = self._field("tokenizer.chat_template")
            document = restored_tekken(tokens, types, template)
            if document:
                (folder / "tekken.json").write_text(document, encoding="utf-8")
                return
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self.path.parent, gguf_file=self.path.name, trust_remote_code=False
            )
        except BROKEN as error:
            raise UnsupportedModel(f"{self.path}: its tokenizer is not read: {error}") from error
        tokenizer.chat_template = restored_template(tokenizer.chat_template)
        tokenizer.save_pretrained(folder)
        end = self._field("tokenizer.ggml.eos_token_id")
        if end is not None:
            GenerationConfig(eos_token_id=int(end)).save_pretrained(folder)

    def _field(self, name: str) -> Any:
        """A field's value, None if the file has it not; ``{arch}`` stands for the architecture."""
        if "{arch}" in name:
            name = name.format(arch=self._architecture)
        field = self._reader.get_field(name)
        return None if field is None else field.contents()

    def _own_config(self) -> PretrainedConfig:
        if self._field("{arch}.expert_count"):
            raise UnsupportedModel(f"{self.path}: models of experts are not read from GGUF")
        heads = self._needed("{arch}.attention.head_count")
        hidden = self._needed("{arch}.embedding_length")
        shape = {
            "vocab_size": self._tensor_shape("token_embd.weight")[0],
            "hidden_size": hidden,
            "intermediate_size": self._needed("{arch}.feed_forward_length"),
            "num_hidden_layers": self._needed("{arch}.block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": self._field("{arch}.attention.head_count_kv") or heads,
            "head_dim": self._field("{arch}.attention.key_length") or hidden // heads,
            "rms_norm_eps": self._needed("{arch}.attention.layer_norm_rms_epsilon"),
            "max_position_embeddings": self._needed("{arch}.context_length"),
            "tie_word_embeddings": "output.weight" not in self._names,
            "bos_token_id": self._field("tokenizer.ggml.bos_token_id"),
            "eos_token_id": self._field("tokenizer.ggml.eos_token_id"),
        }
        theta = float(self._field("{arch}.rope.freq_base") or 10_000.0)
        if self._architecture == "mistral3":
            return Ministral3Config(**shape, rope_parameters=self._yarn(theta))
        self._refuse_scaled_rope()
        rope = {"rope_type": "default", "rope_theta": theta}
        return LlamaConfig(**shape, rope_parameters=rope)

    def _yarn(self, theta: float) -> dict[str, Any]:
        if self._field("{arch}.rope.scaling.type") != "yarn":
            raise UnsupportedModel(f"{self.path}: a mistral3 without YaRN is not read")
        return {
            "rope_type": "yarn",
            "rope_theta": theta,
            "factor": self._needed("{arch}.rope.scaling.factor"),
            "original_max_position_embeddings": self._needed(
                "{arch}.rope.scaling.original_context_length"
            ),
            "beta_fast": self._field("{arch}.rope.scaling.yarn_beta_fast") or 32.0,
            "beta_slow": self._field("{arch}.rope.scaling.yarn_beta_slow") or 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": self._field("{arch}.attention.temperature_scale") or 0.0,
        }

    def _refuse_scaled_rope(self) -> None:
        kind = self._field("{arch}.rope.scaling.type")
        if kind not in (None, "none") or "rope_freqs.weight" in self._names:
            raise UnsupportedModel(
                f"{self.path}: its rotary frequencies are scaled ({kind or 'rope_freqs'}), which "
                "is not read from GGUF; take the model's original in safetensors"
            )

    def _transformers_config(self) -> PretrainedConfig:
        try:
            return AutoConfig.from_pretrained(
                self.path.parent, gguf_file=self.path.name, trust_remote_code=False
            )
        except BROKEN as error:
            raise UnsupportedModel(
                f"{self.path}: the architecture {self._architecture!r} is not read from GGUF; take "
                f"the model's original in safetensors ({error})"
            ) from error

    def _needed(self, name: str) -> Any:
        value = self._field(name)
        if value is None:
            raise BrokenWeights(f"{self.path} has no {name.format(arch=self._architecture)}")
        return value

    @cached_property
    def _names(self) -> Mapping[str, gguf.ReaderTensor]:
        return {tensor.name: tensor for tensor in self._reader.tensors}

    def _tensor_shape(self, name: str) -> tuple[int, ...]:
        """In torch's order."""
        if name not in self._names:
            raise BrokenWeights(f"{self.path} has no tensor {name}")
        return tuple(int(size) for size in reversed(self._names[name].shape))

    @cached_property
    def _dtype(self) -> torch.dtype:
        """The narrowest that keeps the values of the file's floats; bf16 for blocks."""
        kinds = {
            tensor.tensor_type.name for tensor in self._reader.tensors if len(tensor.shape) > 1
        }
        if kinds <= {"F32"}:
            return torch.float32
        return torch.float16 if kinds <= {"F32", "F16"} else torch.bfloat16

    def _converted_name(self, name: str) -> str:
        layer = LAYER.fullmatch(name)
        if layer and layer[2] in LAYER_NAMES:
            return f"model.layers.{layer[1]}.{LAYER_NAMES[layer[2]]}.weight"
        if name not in OUTER_NAMES:
            raise UnsupportedModel(f"{self.path}: the tensor {name} has no place in a Llama model")
        return OUTER_NAMES[name]

    def _layout(self) -> Layout:
        return {
            self._converted_name(name): (self._tensor_shape(name), self._dtype)
            for name in self._names
        }

    def _tensors(self, config: PretrainedConfig) -> Iterator[tuple[str, Tensor]]:
        for name, stored in self._names.items():
            try:
                unpacked = gguf.quants.dequantize(stored.data, stored.tensor_type)
            except NotImplementedError as error:
                raise UnsupportedModel(f"{self.path}: {error}") from error
            # a copy: what the file holds in fp32 is mapped, and must not be written to
            values = torch.from_numpy(np.array(unpacked)).to(self._dtype)
            values = values.reshape(self._tensor_shape(name))
            if name.endswith("attn_q.weight"):
                values = half_split(values, config.num_attention_heads)
            elif name.endswith("attn_k.weight"):
                values = half_split(values, config.num_key_value_heads)
            yield self._converted_name(name), values

    def _check_memory(self) -> None:
        free = psutil.virtual_memory().available
        if self.nbytes() > free:
            raise NotEnoughMemory(
                f"converting {self.path} takes {self.nbytes() / 2**30:.1f} GiB of memory, and "
                f"{free / 2**30:.1f} GiB are free"
            )


def read_by_transformers(path: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Return the model in a GGUF file with its weights unpacked, as transformers reads it.

    Raises `BrokenWeights` if they do not load.
    """
    try:
        # transformers 5.23 otherwise keeps the weights packed, and cannot save them
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=dtype,
            trust_remote_code=False,
            quantization_config=GgufConfig(dequantize=True),
        )
    except (*BROKEN, RuntimeError, ImportError) as error:
        raise BrokenWeights(f"{path}: the weights do not load: {error}") from error
    model.is_quantized = False
    return model
