"""``adapter_config.json``: every field of PEFT's LoraConfig, and what it means for serving.

A field that changes what is computed is understood here or refused by name. The format is that of
peft 0.21, ``tuners/lora/config.py``; a field that is not in it is refused once it is set.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from playground.errors import BrokenAdapter
from playground.protocol.json_types import Json, JsonObject

DEFAULT_RANK = DEFAULT_ALPHA = 8
"""What PEFT takes where the file does not say."""
MAX_NUMBER = 1e9
CHANGES_BASE = re.compile(r"pissa(_niter_\d+)?|olora|corda|loftq|lora_ga", re.IGNORECASE)
KEEPS_BASE = ("gaussian", "eva", "orthogonal", "mica")
SAVE_CONVERTED = "save it with path_initial_model_for_weight_conversion"

Check = Callable[[Json], str | None]
"""Returns what is wrong with a field's value; None if it can be served."""


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The fields of a LoRA config that decide how its matrices are scaled."""

    rank: int
    alpha: float
    rank_patterns: Mapping[re.Pattern[str], float]
    alpha_patterns: Mapping[re.Pattern[str], float]
    uses_rslora: bool

    def rank_of(self, path: str) -> int:
        """Return the rank that the config gives to a module."""
        return int(_by_pattern(self.rank_patterns, path, self.rank))

    def scale_of(self, path: str) -> float:
        """Return alpha / rank; alpha / sqrt(rank) if rank-stabilised (arXiv:2312.03732)."""
        alpha, rank = _by_pattern(self.alpha_patterns, path, self.alpha), self.rank_of(path)
        return float(alpha / (rank**0.5 if self.uses_rslora else rank))


def read_settings(config: JsonObject) -> LoraSettings:
    """Check every field of a config. Raises `BrokenAdapter` with the field and what is wrong."""
    if config.get("peft_type") != "LORA":
        raise BrokenAdapter(f"this is not a LoRA adapter (peft_type {config.get('peft_type')!r})")
    for name, value in config.items():
        check = FIELDS.get(name, _unknown)
        if problem := check(value):
            raise BrokenAdapter(f"adapter_config.json, {name}: {problem}")
    return LoraSettings(
        rank=int(_number(config.get("r", DEFAULT_RANK))),
        alpha=_number(config.get("lora_alpha", DEFAULT_ALPHA)),
        rank_patterns=_compiled(config.get("rank_pattern")),
        alpha_patterns=_compiled(config.get("alpha_pattern")),
        uses_rslora=bool(config.get("use_rslora")),
    )


def _by_pattern(patterns: Mapping[re.Pattern[str], float], path: str, default: float) -> float:
    return next((value for pattern, value in patterns.items() if pattern.match(path)), default)


def _compiled(patterns: Json) -> dict[re.Pattern[str], float]:
    """The first that fits counts, as in PEFT (``utils/other.py``, ``get_pattern_key``)."""
    given = patterns if isinstance(patterns, dict) else {}
    return {re.compile(rf"(.*\.)?({key})$"): _number(value) for key, value in given.items()}


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenAdapter(f"{_shown(value)} is not a number")
    return float(value)


def _harmless(_value: Json) -> None:
    """Of no consequence for what is computed."""


def _is_set(value: Json) -> bool:
    """Whether a value turns on what its field stands for."""
    return value is not None and value is not False and value not in ("", [], {})


def _unknown(value: Json) -> str | None:
    if not _is_set(value):
        return None
    return f"not understood here ({_shown(value)}); it may change what the adapter computes"


def _refused(why: str) -> Check:
    return lambda value: why if _is_set(value) else None


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _flag(value: Json) -> str | None:
    return None if value is None or isinstance(value, bool) else f"{_shown(value)} is not a boolean"


def _rank(value: Json) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_NUMBER:
        return None
    return f"{_shown(value)} is not a whole number from 1"


def _alpha(value: Json) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER:
        return None
    return f"{_shown(value)} is not a number from 0"


def _patterns(of_value: Check) -> Check:
    def check(value: Json) -> str | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            return f"{_shown(value)} is not an object of patterns"
        for pattern, number in value.items():
            problem = _pattern_problem(pattern) or of_value(number)
            if problem:
                return f"{_shown(pattern)}: {problem}"
        return None

    return check


def _pattern_problem(pattern: str) -> str | None:
    try:
        re.compile(rf"(.*\.)?({pattern})$")
    except (re.error, RecursionError, OverflowError) as error:
        return f"not a regular expression: {error}"
    return None


def _modules(value: Json) -> str | None:
    """A list of names, or one pattern. Which modules have matrices, the weights say."""
    if value is None:
        return None
    if isinstance(value, str):
        problem = _pattern_problem(value)
        return f"{_shown(value)}: {problem}" if problem else None
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return None
    return f"{_shown(value)} is neither a list of names nor a pattern"


def _init(value: Json) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    text = value.lower() if isinstance(value, str) else ""
    if CHANGES_BASE.fullmatch(text):
        return (
            f"{_shown(value)} changed the base model's own weights, to which the adapter belongs; "
            f"{SAVE_CONVERTED}"
        )
    return None if text in KEEPS_BASE else f"{_shown(value)} is not understood here"


def _task(value: Json) -> str | None:
    if value in (None, "", "CAUSAL_LM"):
        return None
    return f"{_shown(value)}: only adapters of causal language models are served"


def _bias(value: Json) -> str | None:
    if value in (None, "none"):
        return None
    return f"{_shown(value)}: trained biases cannot share a batch"


_SAVED_MODULES = "whole modules were saved beside the LoRA matrices; merge them into the base model"
FIELDS: Mapping[str, Check] = MappingProxyType(
    {
        # harmless
        "peft_type": _harmless,  # checked first of all
        "auto_mapping": _harmless,
        "peft_version": _harmless,
        "base_model_name_or_path": _harmless,  # `check_fits` compares hashes and shapes
        "revision": _harmless,
        "inference_mode": _harmless,
        "lora_dropout": _harmless,  # training only
        "fan_in_fan_out": _harmless,  # PEFT sets it to False for linear modules
        "megatron_core": _harmless,  # the name of a package
        "runtime_config": _harmless,
        "qalora_group_size": _harmless,  # with use_qalora only
        "velora_config": _harmless,  # the backward pass only
        "eva_config": _harmless,  # these four: init_lora_weights says whether they were used
        "loftq_config": _harmless,
        "corda_config": _harmless,
        "lora_ga_config": _harmless,
        "ensure_weight_tying": _harmless,  # embeddings and heads, whose weights are refused
        "layers_pattern": _harmless,  # which modules have matrices, the weights say
        "layers_to_transform": _harmless,
        # understood
        "task_type": _task,
        "r": _rank,
        "lora_alpha": _alpha,
        "rank_pattern": _patterns(_rank),
        "alpha_pattern": _patterns(_alpha),
        "use_rslora": _flag,
        "target_modules": _modules,
        "exclude_modules": _modules,
        "init_lora_weights": _init,
        "bias": _bias,
        # refused once they are set
        "modules_to_save": _refused(_SAVED_MODULES),
        "use_dora": _refused(
            "this is a DoRA adapter, whose magnitudes cannot share a batch; merge it into its base "
            "model and serve that"
        ),
        "lora_bias": _refused("trained biases cannot share a batch"),
        "trainable_token_indices": _refused("trained token embeddings cannot share a batch"),
        "alora_invocation_tokens": _refused(
            "an activated LoRA (aLoRA) works only from its invocation tokens on, which is not "
            "supported here"
        ),
        "use_qalora": _refused("QA-LoRA pools the inputs of its matrices, which is not supported"),
        "layer_replication": _refused(
            "the base model's layers are replicated, which is not supported"
        ),
        "target_parameters": _refused("LoRA on bare parameters is not supported"),
        "megatron_config": _refused("Megatron's parallel layers are not supported"),
        "monteclora_config": _refused("MonteCLoRA samples its matrices, which is not supported"),
        "use_bdlora": _refused("block-diagonal LoRA is not supported"),
        "arrow_config": _refused("Arrow routes between several adapters, which is not supported"),
        "kasa_config": _refused("KaSA truncates the base model's weights; merge it into its base"),
    }
)
