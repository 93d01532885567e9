"""Packed integers of other programs as bitsandbytes' NF4 or int8, one matrix after another.

For devices without torch's kernels for integers (`int_linear`): a matrix is unpacked on the device
and quantized again, so that no more than one is ever held in 16 or 32 bits.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel

from playground.errors import BrokenWeights
from playground.models.int_linear import Kind
from playground.models.stored_weights import StoredWeights


def load_as_bitsandbytes(
    folder: Path, stored: StoredWeights, model: PreTrainedModel, kind: Kind, device: torch.device
) -> PreTrainedModel:
    """Fill a model whose parameters are on meta; its dtype is that of what is not quantized.

    Raises `BrokenWeights` naming what is missing or does not fit.
    """
    head = model.get_output_embeddings()
    linears = [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    ]
    try:
        for path in linears:
            model.set_submodule(path, _linear(path, stored, model, kind, device))
        for name, parameter in list(model.named_parameters()):
            if parameter.is_meta:
                values = stored.matrix(name, device).to(model.dtype)
                _set(model, name, _fitting(name, values, parameter.shape))
    except KeyError as error:
        raise BrokenWeights(
            f"{folder}: the weights do not match the config; missing keys: {error}"
        ) from error
    except (RuntimeError, ValueError, OSError, SafetensorError) as error:
        raise BrokenWeights(f"{folder}: the weights do not load: {error}") from error
    for module in model.modules():
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(device)
    model.tie_weights()
    setattr(model, "is_loaded_in_4bit" if kind == "nf4" else "is_loaded_in_8bit", True)
    return model.requires_grad_(False).eval()


def _linear(
    path: str, stored: StoredWeights, model: PreTrainedModel, kind: Kind, device: torch.device
) -> nn.Module:
    from bitsandbytes.nn import (  # takes seconds to import
        Int8Params,
        Linear4bit,
        Linear8bitLt,
        Params4bit,
    )

    plain = model.get_submodule(path)
    assert isinstance(plain, nn.Linear)
    sizes, biased, dtype = (
        (plain.in_features, plain.out_features),
        plain.bias is not None,
        model.dtype,
    )
    values = _fitting(f"{path}.weight", stored.matrix(f"{path}.weight", device), plain.weight.shape)
    if kind == "nf4":
        four = Linear4bit(
            *sizes,
            bias=biased,
            compute_dtype=dtype,
            compress_statistics=True,
            quant_type="nf4",
            device="meta",
        )
        four.weight = Params4bit(
            values.to(dtype), requires_grad=False, compress_statistics=True, quant_type="nf4"
        ).to(device)
        four.support_avx512bf16_for_cpu = False  # see `loader`
    else:
        eight = Linear8bitLt(*sizes, bias=biased, has_fp16_weights=False, device="meta")
        quantized = Int8Params(values.cpu(), requires_grad=False, has_fp16_weights=False)
        eight.weight = quantized.to(device)
    made: nn.Module = four if kind == "nf4" else eight
    if biased:
        _set(made, "bias", stored.tensor(f"{path}.bias", device).to(dtype))
    return made


def _fitting(name: str, values: Tensor, shape: torch.Size) -> Tensor:
    if values.shape != shape:
        raise ValueError(f"mismatched keys: {name} is {tuple(values.shape)}, not {tuple(shape)}")
    return values


def _set(model: nn.Module, name: str, values: Tensor) -> None:
    path, _, last = name.rpartition(".")
    model.get_submodule(path)._parameters[last] = nn.Parameter(values, requires_grad=False)
