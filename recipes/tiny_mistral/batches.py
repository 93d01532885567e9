"""Batches of rendered rows, drawn on the fly, reproducible from a checkpointed position.

Rows come in chunks. A chunk is a function of the seed, its number and the step at which it starts
(the curriculum depends on the step), so a checkpoint needs only those two numbers.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.corpus import Draw, Stage, draw_row
from recipes.tiny_mistral.rendering import BOS, PAD, Renderer
from recipes.tiny_mistral.tokenizer import SPECIAL_SLOTS

WeightedRow = tuple[list[int], list[float]]


@dataclass(slots=True)
class DataPosition:
    """A run's position in the data: the chunk, its first step, and the batches used of it."""

    chunk: int = 0
    first_step: int = 0
    batches_used: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded token ids, and the loss weight of predicting each of them."""

    ids_BT: Tensor  # noqa: N815
    weights_BT: Tensor  # noqa: N815

    @property
    def num_tokens(self) -> int:
        """Number of tokens without padding."""
        return int((self.ids_BT != PAD).sum())


def random_repeat(rng: random.Random, vocab_size: int) -> WeightedRow:
    """Draw random tokens and repeat them, whole or in spans: only copying predicts those."""
    length = rng.randint(4, 28)
    tokens = [rng.randint(SPECIAL_SLOTS, vocab_size - 1) for _ in range(length)]
    ids, weights = [BOS, *tokens], [0.0] * (length + 1)
    if rng.random() < 0.5:
        return ids + tokens, weights + [1.0] * length
    for _ in range(3):
        start = rng.randint(0, length - 2)
        span = tokens[start : start + rng.randint(2, 8)]
        ids += span
        weights += [0.0] + [1.0] * (len(span) - 1)
    return ids, weights


class BatchSource:
    """Draws the batches of one recipe, without end."""

    def __init__(
        self, recipe: PretrainingRecipe, renderer: Renderer, position: DataPosition
    ) -> None:
        self.recipe = recipe
        self.renderer = renderer
        self.position = position

    def batches(self, step: int) -> Iterator[Batch]:
        """Yield batches from the position on; ``step`` is the next optimizer step."""
        position = self.position
        while True:
            if position.batches_used == 0:
                position.first_step = step
            groups = self._chunk(position.chunk, position.first_step)
            for group in groups[position.batches_used :]:
                position.batches_used += 1
                step += 1
                yield _pad(group)
            position.chunk += 1
            position.batches_used = 0

    def _chunk(self, number: int, step: int) -> list[list[WeightedRow]]:
        recipe = self.recipe
        rng = random.Random(f"{recipe.seed}-{number}")
        draw = Draw(rng)
        repeats = 1.0 if step < recipe.repeat_steps else recipe.repeat_fraction
        stage = self._stage(step)
        rows = [
            random_repeat(rng, self.renderer.vocab_size)
            if rng.random() < repeats
            else self._row(draw, stage)
            for _ in range(recipe.chunk_rows)
        ]
        rows = sorted((row for row in rows if len(row[0]) <= recipe.max_length), key=_length)
        groups: list[list[WeightedRow]] = []
        for row in rows:
            if not groups or (len(groups[-1]) + 1) * len(row[0]) > recipe.batch_tokens:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        return groups

    def _stage(self, step: int) -> Stage:
        recipe = self.recipe
        tools = 1 if step < recipe.one_tool_steps else 2 if step < recipe.two_tools_steps else 4
        return Stage(tools, 0.25 if step < recipe.copying_steps else Stage().copying)

    def _row(self, draw: Draw, stage: Stage) -> WeightedRow:
        rendered = self.renderer.row(draw_row(draw, stage))
        weights = [
            1.0
            if trained
            else self.recipe.prompt_loss_weight
            * (draw.rng.random() < self.recipe.prompt_loss_fraction)
            for trained in rendered.trained
        ]
        return rendered.ids, weights


def _length(row: WeightedRow) -> int:
    return len(row[0])


def _pad(rows: list[WeightedRow]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids_BT = torch.full((len(rows), width), PAD)  # noqa: N806
    weights_BT = torch.zeros(len(rows), width)  # noqa: N806
    for index, (ids, weights) in enumerate(rows):
        ids_BT[index, : len(ids)] = torch.tensor(ids)
        weights_BT[index, : len(ids)] = torch.tensor(weights)
    return Batch(ids_BT, weights_BT)
