"""Batches of rendered rows, drawn on the fly; any position can be found again after a restart.

Rows come in chunks. A chunk is a function of the seed, its number and the step at which it began
(the curriculum depends on the step), so those two numbers are all a checkpoint has to keep.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.tiny_mistral.config import Recipe
from recipes.tiny_mistral.corpus import Draw, Stage, draw_row
from recipes.tiny_mistral.rendering import BOS, PAD, Renderer
from recipes.tiny_mistral.tokenizer import SPECIAL_SLOTS

Weighted = tuple[list[int], list[float]]


@dataclass(slots=True)
class Position:
    """Where in the data a run is: the chunk, the step it began at, the batches used of it."""

    chunk: int = 0
    began: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """``ids_BT`` padded; ``weights_BT`` is the loss weight of predicting each token."""

    ids_BT: Tensor  # noqa: N815
    weights_BT: Tensor  # noqa: N815

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return int((self.ids_BT != PAD).sum())


def random_repeat(rng: random.Random, vocabulary: int) -> Weighted:
    """Random tokens, then the same again, or spans of them: only copying can predict it."""
    length = rng.randint(4, 28)
    first = [rng.randint(SPECIAL_SLOTS, vocabulary - 1) for _ in range(length)]
    ids, weights = [BOS, *first], [0.0] * (length + 1)
    if rng.random() < 0.5:
        return ids + first, weights + [1.0] * length
    for _ in range(3):
        start = rng.randint(0, length - 2)
        span = first[start : start + rng.randint(2, 8)]
        ids += span
        weights += [0.0] + [1.0] * (len(span) - 1)
    return ids, weights


class BatchSource:
    """An endless iterator of batches for one recipe."""

    def __init__(self, recipe: Recipe, renderer: Renderer, position: Position) -> None:
        self.recipe = recipe
        self.renderer = renderer
        self.position = position

    def batches(self, step: int) -> Iterator[Batch]:
        """Batches from the position on, where ``step`` is the next optimiser step."""
        position = self.position
        while True:
            if position.used == 0:
                position.began = step
            groups = self._chunk(position.chunk, position.began)
            for group in groups[position.used :]:
                position.used += 1
                step += 1
                yield _pad(group)
            position.chunk += 1
            position.used = 0

    def _chunk(self, number: int, step: int) -> list[list[Weighted]]:
        recipe = self.recipe
        rng = random.Random(f"{recipe.seed}-{number}")
        draw = Draw(rng)
        repeats = 1.0 if step < recipe.repeat_steps else recipe.repeat_share
        stage = self._stage(step)
        rows = [
            random_repeat(rng, self.renderer.vocabulary)
            if rng.random() < repeats
            else self._row(draw, stage)
            for _ in range(recipe.chunk_rows)
        ]
        rows = sorted((row for row in rows if len(row[0]) <= recipe.longest_row), key=_length)
        groups: list[list[Weighted]] = []
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

    def _row(self, draw: Draw, stage: Stage) -> Weighted:
        rendered = self.renderer.row(draw_row(draw, stage))
        weights = [
            1.0
            if learned
            else self.recipe.prompt_weight * (draw.rng.random() < self.recipe.prompt_share)
            for learned in rendered.learned
        ]
        return rendered.ids, weights


def _length(row: Weighted) -> int:
    return len(row[0])


def _pad(rows: list[Weighted]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids_BT = torch.full((len(rows), width), PAD)  # noqa: N806
    weights_BT = torch.zeros(len(rows), width)  # noqa: N806
    for at, (ids, weights) in enumerate(rows):
        ids_BT[at, : len(ids)] = torch.tensor(ids)
        weights_BT[at, : len(ids)] = torch.tensor(weights)
    return Batch(ids_BT, weights_BT)
