"""Model loading for serving and training.

bf16, fp16, fp32, 8 and 4 bits; safetensors only; never remote code. Quantized weights are
bitsandbytes' int8 and NF4 with double quantization on a GPU, and integers packed for its kernels on
a CPU that has them (`packed_weights`), whether they are stored in 16 bits or as integers of GPTQ,
AWQ or compressed-tensors. A model that does not fit into memory is refused before anything is
loaded.
"""

import logging
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from playground.errors import BrokenWeights, NotEnoughMemory, UnsupportedModel
from playground.models.bitsandbytes_weights import load_as_bitsandbytes
from playground.models.catalogue import find, served_name
from playground.models.config import (
    SMALL_MODEL,
    TEXT_TOWER_KEYS,
    as_stored,
    choose_device,
    choose_dtype,
    integer_format,
    is_wrapped,
    read_config,
    window_of,
)
from playground.models.download import locate
from playground.models.int_linear import uses_int_weights
from playground.models.loaded import LoadedModel
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.mistral_vocabulary import find_file
from playground.models.packed_weights import empty_model, load_packed, with_int_linears
from playground.models.plan import available_bytes, count_parameters, plan_for_config, suggest
from playground.models.progress import progress_bar
from playground.models.spec import ModelSpec
from playground.models.stored_weights import StoredWeights
from playground.models.template_tokenizer import TemplateTokenizer
from playground.models.tokenizer import ChatTokenizer
from playground.models.weights import find_weights, weights_hash


def load(spec: ModelSpec, *, home: Path | None = None) -> LoadedModel:
    """Load a model, downloading it into ``home`` first if it is a hub id.

    The model is in eval mode and its weights require no gradients. Raises a `ModelLoadError` that
    names the file or the figure at fault.
    """
    folder = locate(spec, home)
    config = read_config(folder)
    spec = as_stored(spec, config)
    files = find_weights(folder)
    context_length = context_length_of(spec, config)
    device = choose_device(spec.device)
    _check_memory(spec, config, device, context_length)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns at each int8 matmul
    tokenizer = load_tokenizer(folder)
    model = _load_quantized(spec, folder, files, config, home)
    model = model or _load_weights(spec, folder, config, device)
    return LoadedModel(
        name=served_name(spec.source),
        spec=spec,
        folder=folder,
        model=model,
        tokenizer=tokenizer,
        context_length=context_length,
        weights_hash=weights_hash(files),
    )


def context_length_of(spec: ModelSpec, config: PretrainedConfig) -> int:
    """Return the tokens of a context as the model is served: what was asked for, or the catalogue
    says, at most the model's own."""
    entry = find(spec.source)
    wanted = spec.context_length or (entry.context_length if entry else window_of(config))
    return min(wanted, window_of(config))


def load_tokenizer(folder: Path) -> ChatTokenizer:
    """Load a model folder's tokenizer: mistral-common's if it has a file for that."""
    if find_file(folder):
        return MistralTokenizer(folder)
    end_ids: list[int] = []
    if (folder / "generation_config.json").exists():
        try:
            stated = GenerationConfig.from_pretrained(folder).eos_token_id
        except (OSError, ValueError, TypeError) as error:
            raise UnsupportedModel(f"{folder}/generation_config.json: {error}") from error
        end_ids = [stated] if isinstance(stated, int) else list(stated or [])
    return TemplateTokenizer(folder, end_ids)


def _check_memory(
    spec: ModelSpec, config: PretrainedConfig, device: torch.device, context_length: int
) -> None:
    needed = plan_for_config(spec, config, device, context_length)
    available = available_bytes(device)
    if needed.total > available:
        raise NotEnoughMemory(
            f"{spec.source} needs {needed.total / 2**30:.1f} GiB and {device} has "
            f"{available / 2**30:.1f} GiB free; {suggest(spec, config, device, available)}"
        )


def _load_quantized(
    spec: ModelSpec, folder: Path, files: list[Path], config: PretrainedConfig, home: Path | None
) -> PreTrainedModel | None:
    """Load integer weights for this CPU, or packed integers for any device; None if neither the
    device has kernels nor the folder such integers, or if quantized weights are not wanted.
    """
    device, kind = choose_device(spec.device), spec.quantization
    form = integer_format(spec.source, config)
    has_kernels = uses_int_weights(kind, device)
    if kind == "none" or not (form or has_kernels):
        return None
    dtype = choose_dtype(spec, count_parameters(config).total, device)
    model = empty_model(config, dtype, spec.attention)
    stored = StoredWeights(files, TEXT_TOWER_KEYS if is_wrapped(folder) else {}, form)
    if not has_kernels:
        return load_as_bitsandbytes(folder, stored, model, kind, device)
    model = with_int_linears(model, kind, form.group_size if form else 0)
    return load_packed(folder, files, stored, model, kind, home)


def _quantization(spec: ModelSpec, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    if spec.quantization == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if spec.quantization == "int8" else None


def _load_weights(
    spec: ModelSpec, folder: Path, config: PretrainedConfig, device: torch.device
) -> PreTrainedModel:
    parameters = count_parameters(config).total
    dtype = choose_dtype(spec, parameters, device)
    options: dict[str, object] = {}
    if spec.attention != "auto":
        options["attn_implementation"] = spec.attention
    if is_wrapped(folder):
        options["key_mapping"] = dict(TEXT_TOWER_KEYS)
    is_stored = bool(getattr(config, "quantization_config", None))
    try:
        with progress_bar(shown=parameters >= SMALL_MODEL):
            model, report = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                quantization_config=None if is_stored else _quantization(spec, dtype),
                device_map={"": device},
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # reported, then refused below with the names
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
    except (RuntimeError, ValueError, OSError) as error:
        raise BrokenWeights(f"{folder}: the weights do not load: {error}") from error
    for problem in ("missing_keys", "mismatched_keys"):
        if report.get(problem):
            names = ", ".join(sorted(str(name) for name in report[problem])[:3])
            kind = problem.replace("_", " ")
            raise BrokenWeights(f"{folder}: the weights do not match the config; {kind}: {names}")
    if spec.quantization == "nf4":
        _keep_nf4_shared(model)
    model.requires_grad_(False)
    return model.eval()


def _keep_nf4_shared(model: PreTrainedModel) -> None:
    """Keep the first forward from repacking shared weights for AVX512-BF16: training on them would
    then give gradients of exactly zero.
    """
    from bitsandbytes.nn import Linear4bit  # takes seconds to import

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
