"""Penalties and biases on raw logits, for all rows that have them at once.

A row remembers the tokens that occurred, not the vocabulary: its cost follows its text. Knows
logits, token ids and parameters; knows no grammar and draws nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from playground.protocol import Sampling

FIRST_PLACES = 64


class Tally:
    """Which tokens an answer holds, and how often: each id once, in the order of appearance."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._ids = np.zeros(FIRST_PLACES, dtype=np.int64)
        self._counts = np.zeros(FIRST_PLACES, dtype=np.float32)

    def add(self, token_id: int) -> None:
        """One more of this token."""
        place = self._places.setdefault(token_id, len(self._places))
        if place == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._ids[place] = token_id
        self._counts[place] += 1

    @property
    def ids(self) -> Tensor:
        """Int64 ``[distinct]``; shares the tally's memory."""
        return torch.from_numpy(self._ids[: len(self._places)])

    @property
    def counts(self) -> Tensor:
        """Fp32 ``[distinct]``; shares the tally's memory."""
        return torch.from_numpy(self._counts[: len(self._places)])


class Penalties:
    """What one sequence's penalties and biases remember: tokens of its prompt and its answer."""

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], vocabulary_size: int) -> None:
        self.repetition = sampling.repetition_penalty
        self.presence = sampling.presence_penalty
        self.frequency = sampling.frequency_penalty
        self.repeats = self.repetition != 1.0
        self.counts = bool(self.presence or self.frequency)
        self.tally = Tally() if self.repeats or self.counts else None
        self._prompt_ids = torch.empty(0, dtype=torch.int64)
        if self.repeats:
            occurs = np.zeros(vocabulary_size, dtype=np.bool_)
            occurs[np.asarray(prompt_ids, dtype=np.int64)] = True
            self._prompt_ids = torch.from_numpy(np.flatnonzero(occurs))
        self.bias_ids = torch.tensor(list(sampling.logit_bias), dtype=torch.int64)
        self.bias = torch.tensor(list(sampling.logit_bias.values()), dtype=torch.float32)

    @property
    def apply(self) -> bool:
        """Whether there is anything to apply."""
        return self.tally is not None or len(self.bias) > 0

    def prompt_ids(self, device: torch.device) -> Tensor:
        """Distinct tokens of the prompt, int64; moved to the logits' device but once."""
        self._prompt_ids = self._prompt_ids.to(device, non_blocking=True)
        return self._prompt_ids

    def count(self, token_id: int) -> None:
        """Remember a token of the answer."""
        if self.tally is not None:
            self.tally.add(token_id)


Place = tuple[Tensor, Tensor]
"""Row and token of each entry, int64 ``[entries]`` both: an index into logits."""


def penalise(logits: Tensor, by_row: Mapping[int, Penalties]) -> None:
    """Change ``logits`` ``[rows, vocabulary]`` in place: repetition, then presence and frequency,
    then bias. Rows that are not named stay.
    """
    _damp_repetitions(logits, {row: each for row, each in by_row.items() if each.repeats})
    _subtract_counts(logits, {row: each for row, each in by_row.items() if each.counts})
    biased = {row: each for row, each in by_row.items() if len(each.bias)}
    if biased:
        logits[_places({row: [each.bias_ids] for row, each in biased.items()}, logits)] += (
            torch.cat([each.bias for each in biased.values()]).to(logits.device, non_blocking=True)
        )


def _damp_repetitions(logits: Tensor, by_row: Mapping[int, Penalties]) -> None:
    """CTRL, arXiv:1909.05858. A token of prompt and answer both is an entry twice; both entries
    are made of the logit before, so that the last one written is the same as the first.
    """
    if not by_row:
        return
    parts: dict[int, list[Tensor]] = {}
    for row, each in by_row.items():
        assert each.tally is not None
        parts[row] = [each.prompt_ids(logits.device), each.tally.ids]
    places = _places(parts, logits)
    penalty = _by_row(logits, {row: each.repetition for row, each in by_row.items()})[places[0]]
    before = logits[places]
    logits[places] = torch.where(before > 0, before / penalty, before * penalty)


def _subtract_counts(logits: Tensor, by_row: Mapping[int, Penalties]) -> None:
    tallies = {row: each.tally for row, each in by_row.items() if each.tally is not None}
    if not tallies:
        return
    places = _places({row: [tally.ids] for row, tally in tallies.items()}, logits)
    counts = torch.cat([tally.counts for tally in tallies.values()])
    counts = counts.to(logits.device, non_blocking=True)
    presence = _by_row(logits, {row: each.presence for row, each in by_row.items()})
    frequency = _by_row(logits, {row: each.frequency for row, each in by_row.items()})
    logits[places] -= presence[places[0]] + frequency[places[0]] * counts


def _places(ids: Mapping[int, Sequence[Tensor]], logits: Tensor) -> Place:
    entries = [
        (
            torch.full_like(part, row, device=logits.device),
            part.to(logits.device, non_blocking=True),
        )
        for row, parts in ids.items()
        for part in parts
    ]
    rows, tokens = zip(*entries, strict=True)
    return torch.cat(rows), torch.cat(tokens)


def _by_row(logits: Tensor, values: Mapping[int, float]) -> Tensor:
    """Fp32 ``[rows]``, nought where no value is named."""
    column = [values.get(row, 0.0) for row in range(len(logits))]
    return torch.tensor(column, dtype=torch.float32).to(logits.device, non_blocking=True)
