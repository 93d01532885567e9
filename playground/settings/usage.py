"""Settings of usage: what tokens cost, and how long counts are kept. Knows no answer."""

from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

PER_TOKEN = 1e-6
"""Prices are per million tokens."""


class ModelPrice(BaseModel):
    """USD per million tokens of the models whose names match ``model`` (``*`` for any text).

    ``cached_input`` is for prompt tokens from the prefix cache; they cost as others if unset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def cost_usd(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Return what so many tokens cost; ``cached_tokens`` are among those of the prompt."""
        cached = self.input if self.cached_input is None else self.cached_input
        read = (prompt_tokens - cached_tokens) * self.input + cached_tokens * cached
        return (read + completion_tokens * self.output) * PER_TOKEN

    def __str__(self) -> str:
        cached = "" if self.cached_input is None else f"/{self.cached_input:g}"
        return f"{self.model}={self.input:g}/{self.output:g}{cached}"


DEFAULT_PRICE = ModelPrice(model="*", input=0.30, output=0.80)
"""About what hosted providers ask for models of 21B to 41B parameters."""


def _price_of_text(value: object) -> object:
    """``MODEL=INPUT/OUTPUT`` or ``MODEL=INPUT/OUTPUT/CACHED`` as the mapping that it stands for."""
    if not isinstance(value, str):
        return value
    model, separator, prices = value.rpartition("=")
    names = ("input", "output", "cached_input")
    given = prices.split("/")
    if not separator or len(given) not in (2, 3):
        raise ValueError("write MODEL=INPUT/OUTPUT in USD per million tokens, as small=0.30/0.80")
    try:
        numbers = [float(each) for each in given]
    except ValueError:
        raise ValueError(f"{prices!r} is no INPUT/OUTPUT in USD per million tokens") from None
    return {"model": model, **dict(zip(names, numbers, strict=False))}


AnyPrice = Annotated[ModelPrice, BeforeValidator(_price_of_text)]
"""A mapping, or ``MODEL=INPUT/OUTPUT``."""


def price_of(prices: tuple[ModelPrice, ...], model: str) -> ModelPrice:
    """Return the price of a model: that of the first line which names it or, for an adapter's
    ``BASE:ADAPTER``, its base; else `DEFAULT_PRICE`."""
    for name in dict.fromkeys((model, model.rpartition(":")[0])):
        found = next((each for each in prices if name and fnmatchcase(name, each.model)), None)
        if found:
            return found
    return DEFAULT_PRICE
