"""The body of Together's ``POST /v1/fine-tunes``, and the recipe that it asks for."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from playground.api.parameters import Unsupported, UnsupportedParameters
from playground.errors import InvalidRequest, InvalidSettings
from playground.models.adapters import MAX_NAME, name_problem
from playground.studio.starting_points import StartingPoint
from playground.studio.training import Recipe, for_method, make

DEFAULT_PATIENCE = 2  # Together's, where early stopping is asked for without one
_NO_TRACKER = Unsupported("runs are tracked by their events and metrics", ("",))
_NO_HUB = Unsupported("nothing is fetched from or sent to a hub; serve that base", ("",))
UNSUPPORTED = UnsupportedParameters(
    ignored={},
    refused={
        **dict.fromkeys(
            ("wandb_key", "wandb_base_url", "wandb_project_name", "wandb_name", "wandb_entity"),
            _NO_TRACKER,
        ),
        **dict.fromkeys(
            ("from_hf_model", "hf_model_revision", "hf_api_token", "hf_output_repo_name"), _NO_HUB
        ),
        "multimodal_params": Unsupported("models here read text", ({"train_vision": False},)),
        "early_stopping_min_delta": Unsupported("any lower loss counts as better", (0, 0.0)),
        "early_stopping_warmup_evals": Unsupported("every evaluation counts", (0,)),
    },
)
RECIPE_FIELDS = {
    "num_train_epochs": "n_epochs",
    "learning_rate": "learning_rate",
    "lr_scheduler_type": "lr_scheduler.lr_scheduler_type",
    "warmup_ratio": "warmup_ratio",
    "max_grad_norm": "max_grad_norm",
    "weight_decay": "weight_decay",
    "max_length": "max_seq_length",
    "micro_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "early_stopping_patience": "early_stopping_patience",
    "save_total_limit": "n_checkpoints",
    "seed": "random_seed",
    "beta": "training_method.dpo_beta",
    "lora_r": "training_type.lora_r",
    "lora_alpha": "training_type.lora_alpha",
    "lora_dropout": "training_type.lora_dropout",
    "target_modules": "training_type.lora_trainable_modules",
}
"""Together's parameters by the recipe's field that each decides."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _only(*values: object, because: str) -> Any:
    """A check that a field has one of these values; ``because`` says what holds instead."""

    def check(value: object) -> object:
        if value not in values:
            problem = f"is not supported: {because}"
            raise PydanticCustomError("unsupported", "{problem}", {"problem": problem})
        return value

    return check


class SchedulerArgs(_Part):
    """What the schedule's end is like; only the usual one is trained."""

    min_lr_ratio: float | None = 0.0
    num_cycles: float | None = 0.5

    _min = field_validator("min_lr_ratio")(_only(None, 0.0, because="the rate falls to 0"))
    _cycles = field_validator("num_cycles")(_only(None, 0.5, because="a cosine falls once, 0.5"))


class Scheduler(_Part):
    """The learning rate's schedule."""

    lr_scheduler_type: Literal["cosine", "linear"] = "cosine"
    lr_scheduler_args: SchedulerArgs | None = None


class TrainingType(_Part):
    """LoRA; all weights (``Full``) are not trained here."""

    type: str
    lora_r: int | None = None
    lora_alpha: int | None = None
    lora_dropout: float | None = None
    lora_trainable_modules: str | None = None

    _lora = field_validator("type")(_only("Lora", because="adapters are trained, Lora"))


class TrainingMethod(_Part):
    """SFT or DPO, with the parameters of either."""

    method: Literal["sft", "dpo"] = "sft"
    train_on_inputs: bool | Literal["auto"] | None = "auto"
    dpo_beta: float | None = None
    dpo_normalize_logratios_by_length: bool | None = None
    dpo_reference_free: bool | None = None
    rpo_alpha: float | None = None
    simpo_gamma: float | None = None

    _inputs = field_validator("train_on_inputs")(
        _only(None, False, "auto", because="the loss is over the answers; plain text is its own")
    )
    _dpo = field_validator(
        "dpo_normalize_logratios_by_length", "dpo_reference_free", "rpo_alpha", "simpo_gamma"
    )(_only(None, False, 0.0, because="DPO is trained as arXiv:2305.18290 has it"))


class EstimateBody(BaseModel):
    """A job whose price is asked: nothing, so that only what its tokens are counted by matters."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    training_file: str
    validation_file: str | None = None
    n_epochs: Annotated[int | None, Field(ge=1)] = None


class FineTuneBody(_Part):
    """Body of ``POST /v1/fine-tunes``. None: not given, so the base's own recipe holds."""

    training_file: str
    validation_file: str | None = None
    model: str | None = None
    from_checkpoint: str | None = None
    n_epochs: Annotated[int | None, Field(ge=1)] = None
    n_evals: Annotated[int | None, Field(ge=0, le=1000)] = None
    n_checkpoints: Annotated[int | None, Field(ge=0, le=1000)] = None
    batch_size: int | Literal["max"] | None = None
    gradient_accumulation_steps: int | None = None
    learning_rate: float | None = None
    lr_scheduler: Scheduler | None = None
    warmup_ratio: float | None = None
    max_grad_norm: float | None = None
    weight_decay: float | None = None
    max_seq_length: int | None = None
    packing: bool | None = None
    suffix: str | None = None
    random_seed: int | None = None
    early_stopping_enabled: bool | None = None
    early_stopping_patience: Annotated[int | None, Field(ge=1)] = None
    training_type: TrainingType | None = None
    training_method: TrainingMethod = Field(default_factory=TrainingMethod)
    train_on_inputs: bool | Literal["auto"] | None = None

    _inputs = field_validator("train_on_inputs")(
        _only(None, False, "auto", because="the loss is over the answers; plain text is its own")
    )

    @field_validator("suffix")
    @classmethod
    def _is_name(cls, value: str | None) -> str | None:
        if value and name_problem(value):
            problem = f"is no adapter name: 1 to {MAX_NAME} letters, digits, '.', '_' and '-'"
            raise PydanticCustomError("not_a_name", "{problem}", {"problem": problem})
        return value or None


def tuning_recipe(body: FineTuneBody, default: Recipe, start: StartingPoint | None) -> Recipe:
    """Return the base's recipe with what the body asks for.

    Raises `InvalidRequest` for a value out of range, and for LoRA settings that are not those of
    the adapter that training starts from.
    """
    method = body.training_method
    values = asdict(for_method(default, method.method)) | _given(body)
    if body.packing is False:
        values["packing"] = False
    lora = _lora(body.training_type)
    if start:
        for field, value in lora.items():
            if field != "lora_dropout" and start.fields.get(field) not in (None, value):
                theirs = start.fields[field]
                raise InvalidRequest(
                    RECIPE_FIELDS[field], f"must be as in from_checkpoint, {theirs}, not {value}"
                )
        values |= {**start.fields, "init_adapter": str(start.folder)}
        lora = {field: value for field, value in lora.items() if field == "lora_dropout"}
    try:
        return make(values | lora)
    except InvalidSettings as error:
        named = re.match(r"recipe\.(\w+): (.*)", error.message, re.DOTALL)
        if named is None or named[1] not in RECIPE_FIELDS:
            raise
        raise InvalidRequest(RECIPE_FIELDS[named[1]], named[2]) from None


def _given(body: FineTuneBody) -> dict[str, object]:
    """The recipe's fields that the body decides."""
    patience = body.early_stopping_patience or DEFAULT_PATIENCE
    given: dict[str, object] = {
        "num_train_epochs": None if body.n_epochs is None else float(body.n_epochs),
        "learning_rate": body.learning_rate,
        "lr_scheduler_type": body.lr_scheduler and body.lr_scheduler.lr_scheduler_type,
        "warmup_ratio": body.warmup_ratio,
        "max_grad_norm": body.max_grad_norm,
        "weight_decay": body.weight_decay,
        "max_length": body.max_seq_length,
        "micro_batch_size": None if body.batch_size == "max" else body.batch_size,
        "gradient_accumulation_steps": body.gradient_accumulation_steps or None,
        "early_stopping_patience": patience if body.early_stopping_enabled else None,
        "save_total_limit": body.n_checkpoints or None,
        "seed": body.random_seed,
        "beta": body.training_method.dpo_beta or None,
    }
    return {field: value for field, value in given.items() if value is not None}


def _lora(given: TrainingType | None) -> dict[str, object]:
    if given is None:
        return {}
    modules = given.lora_trainable_modules
    values: dict[str, object] = {
        "lora_r": given.lora_r or None,
        "lora_alpha": given.lora_alpha or None,
        "lora_dropout": given.lora_dropout,
        "target_modules": None if modules == "all-linear" else modules,
    }
    return {field: value for field, value in values.items() if value is not None}
