"""The order in which a run sees its rows, decided beforehand: the same for the same seed."""

import bisect
import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from finetune.recipe import Recipe

BATCHES_A_WINDOW = 8
Row = TypeVar("Row")


def schedule_epochs(
    recipe: Recipe,
    rows: Sequence[Row],
    replay: Sequence[Row],
    length: Callable[[Row], int],
) -> list[list[Row]]:
    """All examples of the run in their order; an example is one row, or several packed into one.

    In each epoch come the rows and so many of the replay's that they are the recipe's share of all,
    other ones in every epoch. Rows are packed within their epoch and the examples then shuffled:
    packed over all epochs at once, the copies of a row would lie side by side, and the max_length rows
    would come first. Without packing, rows of one batch are of about one ``length``.
    """
    rng = random.Random(recipe.seed)
    share = recipe.replay_fraction if replay else 0.0
    wanted = round(len(rows) * share / (1 - share))
    pool: list[Row] = []
    order: list[list[Row]] = []
    for _ in range(math.ceil(recipe.num_train_epochs)):
        while len(pool) < wanted:
            pool += rng.sample(replay, len(replay))
        epoch, pool = [*rows, *pool[:wanted]], pool[wanted:]
        rng.shuffle(epoch)
        if uses_packing(recipe):
            examples = _packed(epoch, recipe.max_length, length)
            rng.shuffle(examples)
            order += examples
        else:
            order += [[row] for row in _by_length(epoch, recipe.micro_batch_size, rng, length)]
    return order[: round(len(order) * recipe.num_train_epochs / math.ceil(recipe.num_train_epochs))]


def uses_packing(recipe: Recipe) -> bool:
    """Whether rows share examples: DPO's pairs never do."""
    return recipe.packing and recipe.method == "sft"


def _packed(rows: list[Row], max_length: int, length: Callable[[Row], int]) -> list[list[Row]]:
    """Best-fit decreasing: each row goes where the least room is left (Johnson 1973)."""
    examples: list[list[Row]] = []
    rooms: list[tuple[int, int]] = []  # room left, example; sorted
    for row in sorted(rows, key=length, reverse=True):
        size = length(row)
        at = bisect.bisect_left(rooms, (size, -1))
        if at == len(rooms):
            examples.append([row])
            bisect.insort(rooms, (max_length - size, len(examples) - 1))
            continue
        room, example = rooms.pop(at)
        examples[example].append(row)
        bisect.insort(rooms, (room - size, example))
    return examples


def _by_length(
    rows: list[Row], batch: int, rng: random.Random, length: Callable[[Row], int]
) -> list[Row]:
    """Sorted within windows of some batches, the batches then in any order."""
    batches: list[list[Row]] = []
    for start in range(0, len(rows), batch * BATCHES_A_WINDOW):
        window = sorted(rows[start : start + batch * BATCHES_A_WINDOW], key=length)
        batches += [window[at : at + batch] for at in range(0, len(window), batch)]
    last = batches.pop() if len(batches[-1]) < batch else []  # a batch not full stays at the end
    rng.shuffle(batches)
    return [row for each in [*batches, last] for row in each]


def num_steps(recipe: Recipe, lengths: Sequence[int]) -> int:
    """Optimiser steps of a run over rows of these lengths, in tokens; packed ones estimated."""
    if not lengths:
        return 0
    if recipe.max_steps:
        return recipe.max_steps
    share = 1 / (1 - recipe.replay_fraction)
    each = sum(lengths) / recipe.max_length if uses_packing(recipe) else len(lengths)
    micro_batches = math.ceil(each * share * recipe.num_train_epochs / recipe.micro_batch_size)
    return max(1, math.ceil(micro_batches / recipe.gradient_accumulation_steps))
