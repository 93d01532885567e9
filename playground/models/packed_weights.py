"""Integer weights of a model folder for a CPU: packed at the first start, mapped from then on.

Packing goes through the folder one matrix at a time, however its weights are stored
(`stored_weights`), and writes ``HOME/packed/KEY``. The key covers the stored weights, the form, the
dtype of the rest and the layout of this CPU's kernels. What does not open, or is not what was
written, is packed again. 4-bit integers of other programs stay the integers that they are, and
their scales are rounded to bf16. Folders whose tensors have other names than the model's own are
left to transformers and bitsandbytes.

Knows no device but the CPU.
"""

import copy
import hashlib
import itertools
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from playground.errors import BrokenWeights
from playground.files import atomic_folder, write_atomic
from playground.models.int_linear import (
    CLASSES,
    Int4Linear,
    IntLinear,
    Kind,
    group_of,
    packed_layout,
)
from playground.models.stored_weights import StoredWeights
from playground.models.weights import weights_hash

FORM = 1
"""Raised whenever what is written means something else."""
RECORD_FILE = "packed.json"
FILE_BYTES = 512 * 2**20
SPARE_DISK = 1.05
ALIGNMENT = 64
"""Bytes. torch's kernel for int8 weights dies of a segmentation fault where they lie between
(docs/log.md, "int8 weights that are mapped")."""

log = logging.getLogger(__name__)


def load_packed(
    folder: Path,
    files: Sequence[Path],
    stored: StoredWeights,
    model: PreTrainedModel,
    kind: Kind,
    home: Path | None,
) -> PreTrainedModel | None:
    """Fill an empty model (`with_int_linears`) with packed weights, ``home``'s if it has them.

    Without a home nothing is kept. Returns None if the folder's tensors do not fit the model's
    names. Raises `BrokenWeights` if a file cannot be read, or if integers are incomplete.
    """
    try:
        missing = _missing(model, stored)
        if missing and stored.form is None:
            return None
        if missing:
            raise ValueError(f"missing keys: {missing}")
        tensors = _tensors(stored, files, model, kind, home)
        model.load_state_dict(tensors, strict=False, assign=True)
    except (RuntimeError, ValueError, KeyError, OSError, SafetensorError) as error:
        raise BrokenWeights(f"{folder}: the weights do not load: {error}") from error
    model.tie_weights()
    return model.requires_grad_(False).eval()


def empty_model(config: PretrainedConfig, dtype: torch.dtype, attention: str) -> PreTrainedModel:
    """Return the unquantized model without weights: its parameters are on meta."""
    plain = copy.deepcopy(config)
    if hasattr(plain, "quantization_config"):
        del plain.quantization_config
    chosen = {} if attention == "auto" else {"attn_implementation": attention}
    with init_empty_weights(include_buffers=False):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            plain, dtype=dtype, trust_remote_code=False, **chosen
        )
    model.tie_weights()
    return model


def with_int_linears(model: PreTrainedModel, kind: Kind, group_size: int = 0) -> PreTrainedModel:
    """Replace an empty model's linears by those with integers.

    ``group_size`` is in inputs, for 4 bits; `group_of` says it where a kernel has none of this
    size.
    """
    head = model.get_output_embeddings()
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and module is not head and group_of(module.in_features):
            sizes, biased = (module.in_features, module.out_features), module.bias is not None
            with torch.device("meta"):
                integer = (
                    Int4Linear(*sizes, bias=biased, group_size=group_size)
                    if kind == "nf4"
                    else CLASSES[kind](*sizes, bias=biased)
                )
            model.set_submodule(path, integer)
    return model


def _missing(model: PreTrainedModel, stored: StoredWeights) -> str | None:
    """Return the first of the model's parameters that is not stored under its own name."""
    packed = {path for path, module in model.named_modules() if isinstance(module, IntLinear)}
    for name, _ in model.named_parameters():
        path, _, part = name.rpartition(".")
        is_made = path in packed and part in ("scales", "scales_and_zeros")
        if not is_made and name not in stored:
            return str(name)
    return None


def _tensors(
    stored: StoredWeights,
    files: Sequence[Path],
    model: PreTrainedModel,
    kind: Kind,
    home: Path | None,
) -> dict[str, Tensor]:
    """Return the model's packed parameters by name."""
    if home is None:
        return dict(_pack(stored, model))
    form = f"{FORM} {kind} {model.dtype} {packed_layout()} {weights_hash(list(files))}"
    form += f" {stored.form}" if stored.form else ""
    target = home / "packed" / hashlib.sha256(form.encode()).hexdigest()[:16]
    kept = read_packed(target)
    if kept is not None:
        return kept
    needed = sum(p.numel() * p.itemsize for p in model.parameters())
    home.mkdir(parents=True, exist_ok=True)
    if SPARE_DISK * needed > shutil.disk_usage(home).free:
        log.warning("%s has no room for packed weights, so they are packed at every start", home)
        return dict(_pack(stored, model))
    log.warning("packing the weights for this CPU, once: %.1f GB in %s", needed / 1e9, target)
    try:
        with atomic_folder(target) as folder:
            _write(folder, _pack(stored, model))
    except FileExistsError:
        log.info("another process packed the same weights meanwhile")
    return read_packed(target) or dict(_pack(stored, model))


def read_packed(folder: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a folder of packed weights, mapped; None if there is no such folder.

    A folder that is not as it was written is deleted, and None returned.
    """
    if not folder.exists():
        return None
    try:
        record = json.loads((folder / RECORD_FILE).read_text())
        files = [folder / name for name in record["files"]]
        if weights_hash(files) != record["hash"]:
            raise ValueError("its content is not what was written")
        return {name: _aligned(each) for file in files for name, each in load_file(file).items()}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        log.warning("%s is broken (%s); the weights are packed again", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _write(folder: Path, tensors: Iterator[tuple[str, Tensor]]) -> None:
    """Write tensors as they come into files of half a GiB, and a record of them."""
    files: list[Path] = []
    waiting: dict[str, Tensor] = {}

    def flush() -> None:
        files.append(folder / f"{len(files):05}.safetensors")
        save_file(waiting, files[-1])
        _align(files[-1])
        waiting.clear()

    for name, tensor in tensors:
        waiting[name] = tensor.contiguous()
        if sum(value.nbytes for value in waiting.values()) >= FILE_BYTES:
            flush()
    if waiting:
        flush()
    record: Mapping[str, Any] = {"files": [f.name for f in files], "hash": weights_hash(files)}
    write_atomic(folder / RECORD_FILE, json.dumps(record))


def _align(path: Path) -> None:
    """Let a file's tensors begin at a multiple of `ALIGNMENT`, by spaces behind its header."""
    with path.open("rb") as written:
        size = int.from_bytes(written.read(8), "little")
        spaces = -(8 + size) % ALIGNMENT
        if not spaces:
            return
        copy_path = path.with_suffix(".aligned")
        with copy_path.open("wb") as copied:
            copied.write((size + spaces).to_bytes(8, "little"))
            copied.write(written.read(size) + b" " * spaces)
            shutil.copyfileobj(written, copied, 16 * 2**20)
    copy_path.replace(path)


def _aligned(tensor: Tensor) -> Tensor:
    """Return a tensor as it is mapped, or a copy of one that the kernels cannot read there."""
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor


def _pack(stored: StoredWeights, model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Yield the model's parameters by name, a matrix for each core at once."""
    modules = [(p, m) for p, m in model.named_modules() if isinstance(m, IntLinear)]
    paths = {path for path, _ in modules}
    for name, parameter in model.named_parameters():
        path, _, part = name.rpartition(".")
        if path not in paths or part == "bias":
            yield name, _checked(name, stored.matrix(name), parameter.shape).to(model.dtype)

    def packed(item: tuple[str, IntLinear]) -> dict[str, Tensor]:
        path, module = item
        name, shape = f"{path}.weight", (module.out_features, module.in_features)
        parts = _as_stored(module, stored, name) or module.quantize(
            _checked(name, stored.matrix(name), shape)
        )
        return {f"{path}.{part}": tensor for part, tensor in parts.items()}

    workers = max(1, torch.get_num_threads())
    with _one_thread(), ThreadPoolExecutor(workers) as executor:
        remaining = iter(modules)
        while batch := list(itertools.islice(remaining, workers)):
            for parts in executor.map(packed, batch):
                yield from parts.items()


def _as_stored(module: IntLinear, stored: StoredWeights, name: str) -> dict[str, Tensor] | None:
    """Return the parameters of 4-bit integers whose groups are those of the module, or longer."""
    if not isinstance(module, Int4Linear) or stored.form is None or stored.form.bits != 4:
        return None
    found = stored.integers(name)
    if found is None or not found.group_size or found.group_size % module.group:
        return None
    _checked(name, found.integers, (module.out_features, module.in_features))
    repeated = found.group_size // module.group
    scales = found.scales.repeat_interleave(repeated, dim=1)
    return module.from_integers(
        found.integers, scales, (8 - found.zeros.repeat_interleave(repeated, dim=1)) * scales
    )


def _checked(name: str, tensor: Tensor, shape: Sequence[int]) -> Tensor:
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(f"mismatched keys: {name} is {tuple(tensor.shape)}, not {tuple(shape)}")
    return tensor


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give each matmul one thread: hundreds of short operations wait for a second one longer than
    they run (docs/log.md, "Integer weights on a CPU").
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
