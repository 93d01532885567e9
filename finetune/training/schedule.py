"""Decides beforehand in which order a run sees its examples: the same for the same seed."""

import bisect
import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from finetune.methods import method_of
from finetune.recipe import Recipe

BATCHES_A_WINDOW = 8
EPOCHS_OF_120, LONGEST_EPOCHS, FEWEST_EPOCHS = 24.0, 60.0, 3.0
FALL = 0.6
"""Epochs fall with this power of the number of rows: 24 for a help desk of 120 rows, 9 for a
catalogue of 615, which both learn their facts (docs/log.md, "Epochs from rows")."""
PREFERENCE_ROWS = 3_000
"""Preferences that are seen once; fewer are seen more often, three times at most."""
ExampleT = TypeVar("ExampleT")


def epochs_of(recipe: Recipe, num_examples: int) -> float:
    """The recipe's epochs; where it leaves them open, those that suit so many rows.

    Facts are seen often until they are known. Preferences are seen one to three times: their loss
    has no minimum to arrive at, it falls as long as the policy moves away from the base, and once
    the pairs are told apart the chosen answers themselves become less likely (arXiv:2402.13228,
    arXiv:2310.12036); DPO and KTO were published with 1 to 3 epochs (arXiv:2310.16944, 2402.01306).
    """
    if recipe.num_train_epochs or not num_examples:
        return recipe.num_train_epochs or FEWEST_EPOCHS
    if recipe.method != "sft":
        return float(round(min(FEWEST_EPOCHS, max(1.0, PREFERENCE_ROWS / num_examples))))
    epochs = EPOCHS_OF_120 * (120 / num_examples) ** FALL
    return float(round(min(LONGEST_EPOCHS, max(FEWEST_EPOCHS, epochs))))


def schedule_epochs(
    recipe: Recipe,
    examples: Sequence[ExampleT],
    replay: Sequence[ExampleT],
    length: Callable[[ExampleT], int],
) -> list[list[ExampleT]]:
    """Return the sequences of the whole run in their order; one is an example, or several packed.

    An epoch has every example once and so many of the replay's that they are the recipe's fraction
    of all, other ones in every epoch. Examples are packed within their epoch and the sequences then
    shuffled: packed over all epochs at once, the copies of an example would lie side by side, and
    the longest ones would come first. Without packing, examples of one batch are of about one
    ``length``.
    """
    rng = random.Random(recipe.seed)
    fraction = recipe.replay_fraction if replay else 0.0
    replayed = round(len(examples) * fraction / (1 - fraction))
    pool: list[ExampleT] = []
    order: list[list[ExampleT]] = []
    epochs = epochs_of(recipe, len(examples))
    for _ in range(math.ceil(epochs)):
        while len(pool) < replayed:
            pool += rng.sample(replay, len(replay))
        epoch, pool = [*examples, *pool[:replayed]], pool[replayed:]
        rng.shuffle(epoch)
        if method_of(recipe).uses_packing(recipe):
            sequences = _packed(epoch, recipe.max_length, length)
            rng.shuffle(sequences)
            order += sequences
        else:
            batches = _by_length(epoch, recipe.micro_batch_size, rng, length)
            order += [[example] for example in batches]
    return order[: round(len(order) * epochs / math.ceil(epochs))]


def _packed(
    examples: list[ExampleT], max_length: int, length: Callable[[ExampleT], int]
) -> list[list[ExampleT]]:
    """Best-fit decreasing: each example goes where the least space is left (Johnson 1973)."""
    sequences: list[list[ExampleT]] = []
    spaces: list[tuple[int, int]] = []  # space left, sequence; sorted
    for example in sorted(examples, key=length, reverse=True):
        size = length(example)
        place = bisect.bisect_left(spaces, (size, -1))
        if place == len(spaces):
            sequences.append([example])
            bisect.insort(spaces, (max_length - size, len(sequences) - 1))
            continue
        space, sequence = spaces.pop(place)
        sequences[sequence].append(example)
        bisect.insort(spaces, (space - size, sequence))
    return sequences


def _by_length(
    examples: list[ExampleT],
    micro_batch_size: int,
    rng: random.Random,
    length: Callable[[ExampleT], int],
) -> list[ExampleT]:
    """Sort within windows of some batches, then put the batches in any order."""
    batches: list[list[ExampleT]] = []
    window_size = micro_batch_size * BATCHES_A_WINDOW
    for start in range(0, len(examples), window_size):
        window = sorted(examples[start : start + window_size], key=length)
        batches += [
            window[place : place + micro_batch_size]
            for place in range(0, len(window), micro_batch_size)
        ]
    # a batch that is not full stays at the end
    last = batches.pop() if len(batches[-1]) < micro_batch_size else []
    rng.shuffle(batches)
    return [example for batch in [*batches, last] for example in batch]


def num_steps(recipe: Recipe, lengths: Sequence[int]) -> int:
    """Return the optimizer steps of a run over examples of these lengths, in tokens; an estimate
    if they are packed."""
    if not lengths:
        return 0
    if recipe.max_steps:
        return recipe.max_steps
    is_packed = method_of(recipe).uses_packing(recipe)
    sequences = sum(lengths) / recipe.max_length if is_packed else len(lengths)
    with_replay = sequences * (1 / (1 - recipe.replay_fraction))
    epochs = epochs_of(recipe, len(lengths))
    micro_batches = math.ceil(with_replay * epochs / recipe.micro_batch_size)
    return max(1, math.ceil(micro_batches / recipe.gradient_accumulation_steps))
