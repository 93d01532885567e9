"""The body of ``POST /v1/fine_tuning/jobs``, and the recipe that it asks for."""

import re
from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError

from playground.errors import InvalidRequest, InvalidSettings
from playground.models.adapters import MAX_NAME, name_problem
from playground.studio.training import Recipe, for_method, make, read_columns

Auto = Literal["auto"]
MethodType = Literal["supervised", "dpo", "kto"]
RECIPE_FIELDS = {
    "num_train_epochs": "n_epochs",
    "micro_batch_size": "batch_size",
    "learning_rate": "learning_rate_multiplier",
    "beta": "beta",
    "desirable_weight": "desirable_weight",
    "undesirable_weight": "undesirable_weight",
}
"""OpenAI's hyperparameters, and our own of KTO, by the recipe's field that each decides."""
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512


def _number_or_auto(low: float, high: float, *, whole: bool = False) -> PlainValidator:
    kind = "a whole number" if whole else "a number"

    def check(value: object) -> object:
        if value == "auto" or value is None:
            return "auto"
        is_number = isinstance(value, int if whole else int | float) and value is not True
        if is_number and low <= value <= high:  # type: ignore[operator]
            return value
        raise PydanticCustomError(
            "not_in_range",
            "Input should be auto or {kind} from {low} to {high}",
            {"kind": kind, "low": f"{low:g}", "high": f"{high:g}"},
        )

    return PlainValidator(check)


class Hyperparameters(BaseModel):
    """OpenAI's hyperparameters; ``auto`` keeps the recipe's value."""

    model_config = ConfigDict(extra="forbid")
    n_epochs: Annotated[float | Auto, _number_or_auto(0.01, 1000)] = "auto"
    batch_size: Annotated[int | Auto, _number_or_auto(1, 1024, whole=True)] = "auto"
    learning_rate_multiplier: Annotated[float | Auto, _number_or_auto(1e-3, 1e3)] = "auto"
    beta: Annotated[float | Auto, _number_or_auto(1e-3, 10)] = "auto"


class MethodPart(BaseModel):
    """Hyperparameters of one method."""

    model_config = ConfigDict(extra="forbid")
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)


class KtoHyperparameters(Hyperparameters):
    """KTO's; OpenAI and Together have no such method, so the names are TRL's."""

    desirable_weight: Annotated[float | Auto, _number_or_auto(0.01, 100)] = "auto"
    undesirable_weight: Annotated[float | Auto, _number_or_auto(0.01, 100)] = "auto"


class KtoPart(BaseModel):
    """Hyperparameters of KTO."""

    model_config = ConfigDict(extra="forbid")
    hyperparameters: KtoHyperparameters = Field(default_factory=KtoHyperparameters)


class Method(BaseModel):
    """Supervised, DPO or KTO."""

    model_config = ConfigDict(extra="forbid")
    type: MethodType = "supervised"
    supervised: MethodPart | None = None
    dpo: MethodPart | None = None
    kto: KtoPart | None = None


def _columns(value: object) -> dict[str, str]:
    """Read a mapping of columns as the command does: an object, or COLUMN=FIELD,… as text."""
    if value is None:
        return {}
    if isinstance(value, dict):
        is_mapping = all(isinstance(field, str) for field in value.values())
    else:
        is_mapping = isinstance(value, str)
    if not is_mapping:
        raise PydanticCustomError("not_columns", "Input should be an object or COLUMN=FIELD,…")
    try:
        return read_columns(value)  # type: ignore[arg-type]
    except InvalidSettings as error:
        problem = error.message.removeprefix("columns: ")
        raise PydanticCustomError("not_columns", "{problem}", {"problem": problem}) from None


class JobBody(BaseModel):
    """Body of ``POST /v1/fine_tuning/jobs``."""

    model_config = ConfigDict(extra="forbid")
    training_file: str
    model: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    metadata: dict[str, str] | None = None
    integrations: list[object] | None = None
    columns: Annotated[dict[str, str], BeforeValidator(_columns)] = Field(default_factory=dict)
    eval_tasks: list[str] | str | None = None
    eval_limit: int | None = Field(default=None, ge=0, le=1_000_000)

    @field_validator("integrations")
    @classmethod
    def _no_integrations(cls, value: list[object] | None) -> None:
        if value:
            raise PydanticCustomError("unsupported", "Input should be null: there are none here")

    @field_validator("suffix")
    @classmethod
    def _is_name(cls, value: str | None) -> str | None:
        if value is not None and name_problem(value):
            problem = f"is no adapter name: 1 to {MAX_NAME} letters, digits, '.', '_' and '-'"
            raise PydanticCustomError("not_a_name", "{problem}", {"problem": problem})
        return value

    @field_validator("metadata")
    @classmethod
    def _is_small(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        pairs = value or {}
        fits = all(
            len(key) <= MAX_METADATA_KEY and len(text) <= MAX_METADATA_VALUE
            for key, text in pairs.items()
        )
        if len(pairs) > MAX_METADATA or not fits:
            problem = (
                f"should have at most {MAX_METADATA} pairs, keys of {MAX_METADATA_KEY} and values "
                f"of {MAX_METADATA_VALUE} characters"
            )
            raise PydanticCustomError("too_large", "{problem}", {"problem": problem})
        return value

    @property
    def method_type(self) -> MethodType:
        """Supervised unless the body says otherwise."""
        return self.method.type if self.method else "supervised"

    def chosen(self) -> tuple[str, Hyperparameters]:
        """Return the hyperparameters with their path in the body: those of the method, or the older
        ones beside it, which OpenAI still takes."""
        if self.hyperparameters:
            return "hyperparameters", self.hyperparameters
        part = getattr(self.method, self.method_type) if self.method else None
        return f"method.{self.method_type}.hyperparameters", (part or MethodPart()).hyperparameters


def recipe_of(body: JobBody, default: Recipe) -> Recipe:
    """Return the default recipe with what the body asks for.

    Raises `InvalidRequest` for a hyperparameter that gives a value out of range.
    """
    path, chosen = body.chosen()
    method = "sft" if body.method_type == "supervised" else body.method_type
    values = asdict(for_method(default, method))
    if chosen.n_epochs != "auto":
        values["num_train_epochs"] = float(chosen.n_epochs)
    if chosen.beta != "auto":
        values["beta"] = float(chosen.beta)
    if isinstance(chosen, KtoHyperparameters):
        weights = {
            name: getattr(chosen, name) for name in ("desirable_weight", "undesirable_weight")
        }
        values |= {name: float(weight) for name, weight in weights.items() if weight != "auto"}
    if chosen.batch_size != "auto":
        values["micro_batch_size"] = chosen.batch_size
    if chosen.learning_rate_multiplier != "auto":
        values["learning_rate"] *= chosen.learning_rate_multiplier
    if body.seed is not None:
        values["seed"] = body.seed
    if body.eval_tasks:
        tasks = body.eval_tasks
        values["eval_tasks"] = tasks if isinstance(tasks, str) else ",".join(tasks)
    if body.eval_limit is not None:
        values["eval_limit"] = body.eval_limit
    try:
        return make(values)
    except InvalidSettings as error:
        named = re.match(r"recipe\.(\w+): (.*)", error.message, re.DOTALL)
        if named is None or named[1] not in RECIPE_FIELDS:
            raise
        field = f"{path}.{RECIPE_FIELDS[named[1]]}"
        raise InvalidRequest(field, f"gives a {named[1]} out of range: {named[2]}") from None
