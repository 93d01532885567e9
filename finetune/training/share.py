"""Divides a step's sequences among processes, so that the step stays the same.

A recipe says what a step is made of, however many processes train: ``micro_batch_size`` x
``gradient_accumulation_steps`` sequences. N processes take every N-th micro batch each; where there
are fewer micro batches than processes, smaller ones. Knows recipes; knows no process.
"""

import math
from dataclasses import dataclass

from finetune.methods import method_of
from finetune.recipe import Recipe
from playground.errors import InvalidSettings


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part of a step: so many micro batches, of so many sequences."""

    micro_batch_size: int
    gradient_accumulation_steps: int

    @property
    def sequences(self) -> int:
        """Sequences a step."""
        return self.micro_batch_size * self.gradient_accumulation_steps


def share_of(recipe: Recipe, number: int) -> Share:
    """Return each of ``number`` processes' share of a step. Raises `InvalidSettings` with the
    numbers that would divide it."""
    size, batches = recipe.micro_batch_size, recipe.gradient_accumulation_steps
    splits = number // math.gcd(number, batches)
    divides_batches = method_of(recipe).splits_micro_batches
    if size % splits or (splits > 1 and not divides_batches):
        total = size * batches if divides_batches else batches
        fitting = [str(count) for count in range(1, 2 * number + 1) if total % count == 0]
        problem = (
            f"{number} processes do not divide a step of {batches} micro batches of {size}: "
            f"{', '.join(fitting)} would"
        )
        wanted = math.ceil(batches / number) * number
        raise InvalidSettings(
            f"{problem}, or a new run with --set gradient_accumulation_steps={wanted}"
        )
    return Share(size // splits, batches * splits // number)
