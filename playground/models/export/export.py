"""`export`: the one call behind the command, the page's button and the API's downloads.

A folder is written whole or not at all, and never over another.
"""

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from playground.errors import Conflict, NoSpace
from playground.files import atomic_folder, write_atomic
from playground.models.adapters import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    Adapter,
    check_fits,
    read_adapter,
)
from playground.models.catalogue import find
from playground.models.config import read_config, window_of
from playground.models.export import ollama, vllm
from playground.models.export.base import BaseWeights, base_folder
from playground.models.export.gguf_file import stored_bytes, write_adapter, write_model
from playground.models.export.gguf_vocabulary import vocabulary_of
from playground.models.export.k_quants import quantize_file, require_k_quants
from playground.models.export.merged import merged_bytes, write_merged
from playground.models.export.request import Exported, ExportRequest, GgufType, Target
from playground.models.loader import load_tokenizer
from playground.models.mistral_vocabulary import TEKKEN_FILE
from playground.models.unloaded import find_base

PROVENANCE_FILE = "export.json"
MODEL_FILE, LORA_FILE = "model.gguf", "adapter.gguf"
MARGIN_BYTES = 64 * 2**20
"""Room for tokenizer, config and headers, which are not counted."""
F16_BYTES = 2

Written = tuple[str, tuple[str, ...]]
"""The command that loads the folder, and notes."""


def export(request: ExportRequest) -> Exported:
    """Write an adapter in the form that was asked for.

    Raises `Conflict` if the folder exists, `NoSpace` if the disk has no room, `WrongBase` if the
    adapter is not of this base, and what `BaseWeights`, `read_adapter` and the writers raise.
    """
    if request.folder.exists():
        raise Conflict(f"{request.folder} exists already; name another folder or remove it")
    adapter = read_adapter(request.adapter, request.name)
    _check_base(request, adapter)
    try:
        with atomic_folder(request.folder) as folder:
            command, notes = WRITERS[request.target](request, adapter, folder)
            provenance = _provenance(request, adapter, command, notes)
            write_atomic(folder / PROVENANCE_FILE, json.dumps(provenance, indent=1))
    except FileExistsError:
        raise Conflict(f"{request.folder} was made by another process meanwhile") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"the disk of {request.folder} is full; nothing is kept") from error
        raise
    return Exported(request.folder, _files_of(request.folder), command, notes)


def read_exported(folder: Path, adapter_hash: str) -> Exported | None:
    """Return what an export of this adapter wrote; None if the folder holds anything else."""
    try:
        provenance = json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))
        command, notes = str(provenance["command"]), tuple(map(str, provenance["notes"]))
        is_same = provenance["adapter_hash"] == adapter_hash
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Exported(folder, _files_of(folder), command, notes) if is_same else None


def _files_of(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.rglob("*") if file.is_file()))


def _check_base(request: ExportRequest, adapter: Adapter) -> None:
    base_folder(request.base, request.home)
    base = find_base(request.base, request.home)
    if base is None:
        return
    if not request.checks_base:
        base = type(base)(base.model)
    check_fits(adapter, base)


def _peft(request: ExportRequest, adapter: Adapter, folder: Path) -> Written:
    _require_space(request, (request.adapter / WEIGHTS_FILE).stat().st_size)
    base = _write_peft(request, adapter, folder)
    return (
        f'PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), '
        f'"{request.folder}")',
        (),
    )


def _merged(request: ExportRequest, adapter: Adapter, folder: Path) -> Written:
    weights = BaseWeights(request.base, request.home, adapter)
    _require_space(request, merged_bytes(weights))
    write_merged(weights, folder)
    return f"playground --model {request.folder}", ()


def _gguf(request: ExportRequest, adapter: Adapter, folder: Path) -> Written:
    weights = BaseWeights(request.base, request.home, adapter)
    notes = _write_gguf(request, weights, folder / MODEL_FILE)
    write_adapter(adapter, weights.config, folder / LORA_FILE, _adapter_type(request.gguf_type))
    lora = "adapter.gguf is the LoRA alone, for --lora beside a GGUF of the base"
    return f"llama-server --model {request.folder / MODEL_FILE}", (*notes, lora)


def _ollama(request: ExportRequest, adapter: Adapter, folder: Path) -> Written:
    weights = BaseWeights(request.base, request.home)
    notes = _write_gguf(request, weights, folder / ollama.BASE_FILE)
    adapter_type = _adapter_type(request.gguf_type)
    write_adapter(adapter, weights.config, folder / ollama.ADAPTER_FILE, adapter_type)
    tokenizer = load_tokenizer(weights.folder)
    version = _tekken_version(weights.folder)
    context = request.context_length or window_of(weights.config)
    vocabulary = vocabulary_of(weights.folder)
    stops = [vocabulary.name_of(token) for token in sorted(tokenizer.end_ids)]
    text = ollama.modelfile(request.sampling, context, stops, version)
    write_atomic(folder / ollama.MODELFILE, text)
    command = f"ollama create {request.name} -f {request.folder / ollama.MODELFILE}"
    return command, notes


def _vllm(request: ExportRequest, adapter: Adapter, folder: Path) -> Written:
    _require_space(request, (request.adapter / WEIGHTS_FILE).stat().st_size)
    base = _write_peft(request, adapter, folder / request.name)
    stored = base_folder(request.base, request.home)
    tokenizer = load_tokenizer(stored)
    line = vllm.launch_line(
        base,
        request.name,
        f"./{request.name}",
        adapter.rank,
        tokenizer.call_format,
        has_tekken=(stored / TEKKEN_FILE).is_file(),
        reasons="<THINK>" in tokenizer.control_tokens.values(),
        context_length=request.context_length or window_of(read_config(stored)),
    )
    write_atomic(folder / vllm.LAUNCH_FILE, vllm.script(line))
    return f"sh {request.folder / vllm.LAUNCH_FILE}", ()


WRITERS: Mapping[Target, Callable[[ExportRequest, Adapter, Path], Written]] = {
    "peft": _peft,
    "merged": _merged,
    "gguf": _gguf,
    "ollama": _ollama,
    "vllm": _vllm,
}


def _write_peft(request: ExportRequest, adapter: Adapter, folder: Path) -> str:
    """Write PEFT's two files and the card; returns the base as other programs find it."""
    folder.mkdir(exist_ok=True)
    for name in (WEIGHTS_FILE, CARD_FILE):
        if (request.adapter / name).is_file():
            shutil.copyfile(request.adapter / name, folder / name)
    base = public_name(request.base, request.home)
    config = {**adapter.config, "base_model_name_or_path": base}
    write_atomic(folder / CONFIG_FILE, json.dumps(config, indent=2))
    return base


def public_name(base: str, home: Path) -> str:
    """Return a base's hub id, or the absolute path of its folder; of a file, of what it was
    converted into.
    """
    entry = find(base)
    source = entry.source if entry else base
    exists = Path(source).expanduser().exists()
    return str(base_folder(base, home).resolve()) if exists else source


def _write_gguf(request: ExportRequest, weights: BaseWeights, path: Path) -> tuple[str, ...]:
    shapes = {name: stored.shape for name, stored in weights.tensors.items()}
    kind: GgufType = "f16" if request.gguf_type == "q4_k_m" else request.gguf_type
    if request.gguf_type == "q4_k_m":
        require_k_quants()
    _require_space(request, stored_bytes(shapes.values(), kind) * (2 if kind == "f16" else 1))
    vocabulary = vocabulary_of(weights.folder)
    write_model(weights, shapes, weights.config, vocabulary, path, kind)
    if request.gguf_type == "q4_k_m":
        unquantized = path.rename(path.with_suffix(".f16.gguf"))
        quantize_file(unquantized, path)
        unquantized.unlink()
    return vocabulary.notes


def _adapter_type(kind: GgufType) -> GgufType:
    """LoRA matrices stay in 16 bits at least: they are small, and blocks do not fit their ranks."""
    return kind if kind in ("f32", "bf16") else "f16"


def _tekken_version(folder: Path) -> str | None:
    path = folder / TEKKEN_FILE
    if not path.is_file():
        return None
    return str(json.loads(path.read_text(encoding="utf-8"))["config"].get("version", ""))


def _require_space(request: ExportRequest, needed: int) -> None:
    place = next(each for each in request.folder.absolute().parents if each.exists())
    free = shutil.disk_usage(place).free
    if needed + MARGIN_BYTES > free:
        raise NoSpace(
            f"{request.folder} takes {(needed + MARGIN_BYTES) / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free on its disk"
        )


def _provenance(
    request: ExportRequest, adapter: Adapter, command: str, notes: tuple[str, ...]
) -> dict[str, object]:
    return {
        "adapter": request.name,
        "adapter_hash": adapter.content_hash,
        "base": public_name(request.base, request.home),
        "to": request.target,
        "type": request.gguf_type if request.target in ("gguf", "ollama") else None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "notes": list(notes),
    }
