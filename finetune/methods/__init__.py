"""Training methods: what tells them apart is decided here and nowhere else.

A new one is a file beside `sft`, `dpo` and `kto` that has `Method`'s members, a line in `METHODS`,
and its name in `finetune.recipe.Method`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from finetune.methods.base import Method, TrainerParts
from finetune.methods.dpo import Dpo
from finetune.methods.kto import Kto
from finetune.methods.sft import Sft
from finetune.recipe import Recipe

__all__ = ["METHODS", "Method", "TrainerParts", "method_of"]

METHODS: Mapping[str, Method] = MappingProxyType({"sft": Sft(), "dpo": Dpo(), "kto": Kto()})


def method_of(recipe: Recipe) -> Method:
    """Return the method that a recipe names."""
    return METHODS[recipe.method]
