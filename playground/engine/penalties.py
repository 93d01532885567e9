"""Penalties and biases on raw logits, for all rows that have them at once.

A row remembers the tokens that occurred, not the vocabulary: its cost follows its text. Knows
logits, token ids and parameters; knows no grammar and draws nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from playground.protocol import Sampling

INITIAL_CAPACITY = 64


class TokenCounts:
    """How often each token occurred in an answer: distinct ids in the order of appearance."""

    def __init__(self) -> None:
        self._index: dict[int, int] = {}
        self._ids = np.zeros(INITIAL_CAPACITY, dtype=np.int64)
        self._counts = np.zeros(INITIAL_CAPACITY, dtype=np.float32)

    def add(self, token_id: int) -> None:
        """Count one more of this token."""
        index = self._index.setdefault(token_id, len(self._index))
        if index == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._ids[index] = token_id
        self._counts[index] += 1

    @property
    def ids(self) -> Tensor:
        """Int64 ``[distinct]``; shares this object's memory."""
        return torch.from_numpy(self._ids[: len(self._index)])

    @property
    def counts(self) -> Tensor:
        """Fp32 ``[distinct]``; shares this object's memory."""
        return torch.from_numpy(self._counts[: len(self._index)])


class Penalties:
    """One sequence's penalties and biases, and the tokens of its prompt and answer they need."""

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], vocabulary_size: int) -> None:
        self.repetition = sampling.repetition_penalty
        self.presence = sampling.presence_penalty
        self.frequency = sampling.frequency_penalty
        self.has_repetition = self.repetition != 1.0
        self.has_counts = bool(self.presence or self.frequency)
        self.answer = TokenCounts()
        self._counting = self.has_repetition or self.has_counts
        self._prompt_ids = torch.empty(0, dtype=torch.int64)
        if self.has_repetition:
            occurs = np.zeros(vocabulary_size, dtype=np.bool_)
            occurs[np.asarray(prompt_ids, dtype=np.int64)] = True
            self._prompt_ids = torch.from_numpy(np.flatnonzero(occurs))
        self.bias_ids = torch.tensor(list(sampling.logit_bias), dtype=torch.int64)
        self.bias = torch.tensor(list(sampling.logit_bias.values()), dtype=torch.float32)

    @property
    def active(self) -> bool:
        """Whether there is anything to apply."""
        return self._counting or len(self.bias) > 0

    def prompt_ids(self, device: torch.device) -> Tensor:
        """Return the distinct tokens of the prompt, int64, moved to the logits' device once."""
        self._prompt_ids = self._prompt_ids.to(device, non_blocking=True)
        return self._prompt_ids

    def count(self, token_id: int) -> None:
        """Remember a token of the answer."""
        if self._counting:
            self.answer.add(token_id)


Entries = tuple[Tensor, Tensor]
"""Row and token of each entry, int64 ``[entries]`` both: an index into logits."""


def apply_penalties(logits: Tensor, by_row: Mapping[int, Penalties]) -> None:
    """Change ``logits`` ``[rows, vocabulary]`` in place: repetition, then presence and frequency,
    then bias. Rows that are not named stay.
    """
    _penalize_repetition(logits, {row: p for row, p in by_row.items() if p.has_repetition})
    _subtract_counts(logits, {row: p for row, p in by_row.items() if p.has_counts})
    biased = {row: penalties for row, penalties in by_row.items() if len(penalties.bias)}
    if biased:
        entries = _entries({row: [p.bias_ids] for row, p in biased.items()}, logits)
        bias = torch.cat([penalties.bias for penalties in biased.values()])
        logits[entries] += bias.to(logits.device, non_blocking=True)


def _penalize_repetition(logits: Tensor, by_row: Mapping[int, Penalties]) -> None:
    """CTRL, arXiv:1909.05858. A token of both prompt and answer has two entries; both are computed
    from the logit before, so that the one written last is the same as the first.
    """
    if not by_row:
        return
    ids = {row: [p.prompt_ids(logits.device), p.answer.ids] for row, p in by_row.items()}
    entries = _entries(ids, logits)
    penalty = _by_row(logits, {row: p.repetition for row, p in by_row.items()})[entries[0]]
    before = logits[entries]
    logits[entries] = torch.where(before > 0, before / penalty, before * penalty)


def _subtract_counts(logits: Tensor, by_row: Mapping[int, Penalties]) -> None:
    if not by_row:
        return
    entries = _entries({row: [penalties.answer.ids] for row, penalties in by_row.items()}, logits)
    counts = torch.cat([penalties.answer.counts for penalties in by_row.values()])
    counts = counts.to(logits.device, non_blocking=True)
    presence = _by_row(logits, {row: p.presence for row, p in by_row.items()})
    frequency = _by_row(logits, {row: p.frequency for row, p in by_row.items()})
    logits[entries] -= presence[entries[0]] + frequency[entries[0]] * counts


def _entries(ids: Mapping[int, Sequence[Tensor]], logits: Tensor) -> Entries:
    pairs = [
        (
            torch.full_like(part, row, device=logits.device),
            part.to(logits.device, non_blocking=True),
        )
        for row, parts in ids.items()
        for part in parts
    ]
    rows, tokens = zip(*pairs, strict=True)
    return torch.cat(rows), torch.cat(tokens)


def _by_row(logits: Tensor, values: Mapping[int, float]) -> Tensor:
    """Return fp32 ``[rows]``, zero where no value is given."""
    column = [values.get(row, 0.0) for row in range(len(logits))]
    return torch.tensor(column, dtype=torch.float32).to(logits.device, non_blocking=True)
