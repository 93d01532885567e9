"""GGUF files of the architecture ``llama``: models and LoRA adapters as llama.cpp reads them.

Tensors are converted and written one after another, so that no file is held in memory. Knows no
tokenizer: a `Vocabulary` is handed in.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol

import gguf
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PretrainedConfig

from playground.errors import UnsupportedModel
from playground.models.adapters import Adapter
from playground.models.export.request import GgufType

ARCHITECTURE = "llama"
FAMILIES = ("mistral", "llama")
"""transformers' model types whose layers are this architecture's, tensor by tensor."""
GGML = gguf.GGMLQuantizationType
Values = npt.NDArray[np.float32]

MATRIX_TYPES: Mapping[GgufType, gguf.GGMLQuantizationType] = {
    "f32": GGML.F32,
    "f16": GGML.F16,
    "bf16": GGML.BF16,
    "q8_0": GGML.Q8_0,
    "q5_1": GGML.Q5_1,
    "q5_0": GGML.Q5_0,
    "q4_1": GGML.Q4_1,
    "q4_0": GGML.Q4_0,
}
FILE_TYPES: Mapping[GgufType, gguf.LlamaFileType] = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q5_1": gguf.LlamaFileType.MOSTLY_Q5_1,
    "q5_0": gguf.LlamaFileType.MOSTLY_Q5_0,
    "q4_1": gguf.LlamaFileType.MOSTLY_Q4_1,
    "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
}


class Vocabulary(Protocol):
    """Writes the ``tokenizer.ggml.*`` fields, without which llama.cpp loads no model."""

    def write(self, writer: gguf.GGUFWriter, size: int) -> None:
        """Add the fields; ``size`` is the number of rows of the model's embeddings."""
        ...


def refuse_family(config: PretrainedConfig) -> None:
    """Raise `UnsupportedModel` for a model that this architecture does not hold as it is."""
    if config.model_type not in FAMILIES:
        raise UnsupportedModel(
            f"GGUF is written for {' and '.join(FAMILIES)} models, this is {config.model_type}: "
            "export --to merged, and convert that folder with llama.cpp's convert_hf_to_gguf.py"
        )
    rope = config.rope_parameters.get("rope_type", "default")
    if rope != "default":
        raise UnsupportedModel(
            f"GGUF is not written for rope_type {rope!r}: export --to merged, and convert that "
            "folder with llama.cpp's convert_hf_to_gguf.py"
        )


def write_model(
    tensors: Iterable[tuple[str, Tensor]],
    shapes: Mapping[str, tuple[int, ...]],
    config: PretrainedConfig,
    vocabulary: Vocabulary,
    path: Path,
    kind: GgufType,
) -> None:
    """Write a model; ``tensors`` come in the order of ``shapes``, under transformers' names.

    Norms are fp32, as is whatever has rows that are no multiple of a block. Raises
    `UnsupportedModel` for a family or a tensor that has no place in the file.
    """
    refuse_family(config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    targets = {name: _target(name, names) for name in shapes}
    types = {name: matrix_type(shape, kind) for name, shape in shapes.items()}
    with closing(gguf.GGUFWriter(path, ARCHITECTURE)) as writer:
        writer.add_file_type(FILE_TYPES[kind])
        _write_sizes(writer, config)
        vocabulary.write(writer, config.vocab_size)
        for name, shape in shapes.items():
            _announce(writer, targets[name], shape, types[name])
        _open(writer)
        for name, tensor in tensors:
            values = _in_rotary_order(targets[name], tensor.detach().float(), config)
            writer.write_tensor_data(gguf.quants.quantize(values.numpy(), types[name]))


def write_adapter(adapter: Adapter, config: PretrainedConfig, path: Path, kind: GgufType) -> None:
    """Write a LoRA as llama.cpp's ``--lora`` reads it (its convert_lora_to_gguf.py).

    The scale is part of the second matrices. llama.cpp multiplies with alpha / rank, so all have
    the largest rank, filled up with zeros, and alpha is that rank.
    """
    refuse_family(config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    matrices = dict(_adapter_matrices(adapter, config, names))
    types = {name: matrix_type(values.shape, kind) for name, values in matrices.items()}
    with closing(gguf.GGUFWriter(path, ARCHITECTURE)) as writer:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(adapter.rank))
        writer.add_file_type(FILE_TYPES[kind])
        for name, values in matrices.items():
            _announce(writer, name, values.shape, types[name])
        _open(writer)
        for name, values in matrices.items():
            writer.write_tensor_data(gguf.quants.quantize(values, types[name]))


def matrix_type(shape: tuple[int, ...], kind: GgufType) -> gguf.GGMLQuantizationType:
    """Return the type of a tensor in a file of this kind."""
    if len(shape) < 2:
        return GGML.F32
    block, _ = gguf.GGML_QUANT_SIZES[MATRIX_TYPES[kind]]
    return MATRIX_TYPES[kind] if shape[-1] % block == 0 else GGML.F32


def stored_bytes(shapes: Iterable[tuple[int, ...]], kind: GgufType) -> int:
    """Return the bytes of the tensors of a file."""
    return sum(_nbytes(shape, matrix_type(shape, kind)) for shape in shapes)


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """A projection's rows [heads * width, inputs] from transformers' order, which rotates row i of
    a head with row i + width / 2, to llama.cpp's, which rotates neighbours (``permute`` of its
    conversion/llama.py).
    """
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape).contiguous()


def _in_rotary_order(target: str, values: Tensor, config: PretrainedConfig) -> Tensor:
    if target.endswith("attn_q.weight"):
        return interleaved(values, config.num_attention_heads)
    if target.endswith("attn_k.weight"):
        return interleaved(values, config.num_key_value_heads)
    return values.contiguous()


def _adapter_matrices(
    adapter: Adapter, config: PretrainedConfig, names: gguf.TensorNameMap
) -> Iterator[tuple[str, Values]]:
    for path, pair in adapter.modules.items():
        target = _target(f"{path}.weight", names)
        missing = adapter.rank - pair.rank
        down = torch.nn.functional.pad(pair.down, (0, 0, 0, missing))
        up = torch.nn.functional.pad(_in_rotary_order(target, pair.up, config), (0, missing))
        yield f"{target}.lora_a", down.contiguous().numpy()
        yield f"{target}.lora_b", up.contiguous().numpy()


def _target(name: str, names: gguf.TensorNameMap) -> str:
    found: str | None = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise UnsupportedModel(f"the tensor {name} has no place in a GGUF file of {ARCHITECTURE}")
    return found


def _nbytes(shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> int:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return int(np.prod(shape)) // block * size


def _announce(
    writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType
) -> None:
    """Add a tensor's header, without its values."""
    writer.add_tensor_info(name, shape, np.dtype(np.float32), _nbytes(shape, kind), raw_dtype=kind)


def _open(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()


def _write_sizes(writer: gguf.GGUFWriter, config: PretrainedConfig) -> None:
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
