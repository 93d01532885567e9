"""From logits to tokens: penalties, bias, temperature, truncation, seeds, log-probabilities.

Rows are independent: a row's choice depends on its own logits, parameters and generator only.
The order of operations is that of transformers' logits processors (generation/utils.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from playground.engine.grammar import Matcher
from playground.engine.penalties import Penalties, penalise
from playground.engine.truncation import (
    NOTHING,
    WIDER,
    Rows,
    draw_nucleus,
    draw_ranked,
    draw_untruncated,
    draw_wider,
    likeliest,
)
from playground.protocol import Sampling

CLOSING_WINDOW = 128
"""From how many tokens before the end of the budget on a grammar's answer is kept closable."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A chosen token's log-probability under the model, and the likeliest alternatives."""

    logprob: float
    alternatives: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The token chosen for a row, scored if its request asked for log-probabilities."""

    token_id: int
    scored: Scored | None = None


class SamplerState:
    """What one sequence's sampling remembers: its generator, the tokens that penalties count, and
    where it is in its grammar.
    """

    def __init__(
        self,
        sampling: Sampling,
        prompt_ids: Sequence[int],
        vocabulary_size: int,
        max_new: int,
        matcher: Matcher | None = None,
    ) -> None:
        self._matcher = matcher
        self._left = max_new
        self.sampling = sampling
        self.penalties = Penalties(sampling, prompt_ids, vocabulary_size)
        self._uniform: float | None = None
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    @property
    def matcher(self) -> Matcher | None:
        """What follows the grammar, if there is one."""
        return self._matcher

    @property
    def ended(self) -> bool:
        """Whether the grammar lets nothing follow."""
        return self._matcher is not None and self._matcher.done

    def uniform(self) -> float:
        """The number that its next token is drawn with, from [0, 1); another once it is counted."""
        if self._uniform is None:
            self._uniform = torch.rand((), generator=self._generator, dtype=torch.float64).item()
        return self._uniform

    def forced(self) -> list[int]:
        """Tokens that the grammar leaves no choice about; counted already. None where scores are
        wanted: what is not chosen has none.
        """
        if self._matcher is None or self.sampling.logprobs is not None or self._matcher.done:
            return []
        tokens = self._matcher.forced()
        self._left -= len(tokens)
        for token_id in tokens:
            self.penalties.count(token_id)
        return tokens

    def within_budget(self, token_id: int) -> int:
        """The token, or near the end of the budget one after which the grammar can still close."""
        if self._matcher is None or self._left > CLOSING_WINDOW:
            return token_id
        return self._matcher.within(token_id, self._left - 1)

    def count(self, token_id: int) -> None:
        """Remember a token of the answer."""
        self._left -= 1
        self._uniform = None
        if self._matcher is not None:
            self._matcher.take(token_id)
        self.penalties.count(token_id)


def choose(logits: Tensor, states: Sequence[SamplerState]) -> list[Choice]:
    """The next token of each row of ``logits`` ``[rows, vocabulary]``, in fp32, which stay.

    Raises `ValueError` if a row to draw from has no largest logit, before any state is changed.
    """
    adjusted = adjust(logits, states)
    chosen = draw(adjusted, states).tolist()
    if NOTHING in chosen:
        raise ValueError("no token can be drawn: a row of logits has no finite maximum")
    unsure = [row for row, token_id in enumerate(chosen) if token_id == WIDER]
    if unsure:
        found = draw_wider(_rows(adjusted, states, unsure)).tolist()
        for row, token_id in zip(unsure, found, strict=True):
            chosen[row] = token_id
    tokens: list[int] = []
    for token_id, state in zip(chosen, states, strict=True):
        tokens.append(state.within_budget(token_id))
        state.count(tokens[-1])
    scores = _scores(logits, states, tokens)
    return [Choice(token_id, scores.get(row)) for row, token_id in enumerate(tokens)]


def adjust(logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
    """The logits with penalties and bias, and what grammars forbid at minus infinity."""
    penalties = {row: each.penalties for row, each in enumerate(states) if each.penalties.apply}
    matchers = {row: each.matcher for row, each in enumerate(states) if each.matcher is not None}
    if not penalties and not matchers:
        return logits
    logits = logits.clone()
    penalise(logits, penalties)
    if matchers:
        forbidden = np.empty((len(matchers), logits.shape[-1]), dtype=np.bool_)
        for row, matcher in zip(forbidden, matchers.values(), strict=True):
            matcher.forbid(row)
        mask = torch.from_numpy(forbidden).to(logits.device, non_blocking=True)
        held = _index(list(matchers), logits)
        logits[held] = logits[held].masked_fill_(mask, float("-inf"))
    return logits


def draw(logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
    """The likeliest token ``[rows]`` where the temperature is 0; elsewhere one drawn, `NOTHING` or
    `WIDER`. Which rows are drawn how is known beforehand, so that no GPU has to be waited for.
    """
    ways: dict[Way, list[int]] = {}
    for row, state in enumerate(states):
        ways.setdefault(_way(state.sampling, logits.shape[-1]), []).append(row)
    if len(ways) == 1:
        ((way, rows),) = ways.items()
        return _drawn(way, logits, states, rows)
    tokens = torch.empty(len(states), dtype=torch.int64, device=logits.device)
    for way, rows in ways.items():
        tokens[_index(rows, logits)] = _drawn(way, logits, states, rows)
    return tokens


Way = Callable[[Rows], Tensor] | None
"""How a token is drawn; None is the likeliest one."""


def _way(sampling: Sampling, vocabulary: int) -> Way:
    if sampling.temperature == 0:
        return None
    top_k = 0 < sampling.top_k < vocabulary
    if sampling.top_p < 1 and not top_k:
        return draw_nucleus
    return draw_ranked if top_k or sampling.min_p > 0 else draw_untruncated


def _drawn(way: Way, logits: Tensor, states: Sequence[SamplerState], rows: list[int]) -> Tensor:
    if way is not None:
        return way(_rows(logits, states, rows))
    return _those(rows, logits).argmax(dim=-1)


def _rows(logits: Tensor, states: Sequence[SamplerState], rows: list[int]) -> Rows:
    numbers = []
    for state in (states[row] for row in rows):
        asked = state.sampling
        top_k = asked.top_k if asked.top_k < logits.shape[-1] else 0
        numbers.append([asked.temperature, top_k, asked.top_p, asked.min_p, state.uniform()])
    columns = torch.tensor(numbers, dtype=torch.float64).to(logits.device, non_blocking=True)
    logits = _those(rows, logits)
    peak = logits.amax(dim=-1, keepdim=True).double()
    return Rows(logits, peak, *columns.unsqueeze(-1).unbind(dim=1))


def _those(rows: list[int], logits: Tensor) -> Tensor:
    return logits if len(rows) == len(logits) else logits[_index(rows, logits)]


def _index(rows: list[int], logits: Tensor) -> Tensor:
    return torch.tensor(rows).to(logits.device, non_blocking=True)


def _scores(
    logits: Tensor, states: Sequence[SamplerState], tokens: Sequence[int]
) -> dict[int, Scored]:
    """By row, the scores that its request wants: of the model's own logits, before penalties."""
    wanted = {
        row: min(state.sampling.logprobs, logits.shape[-1])
        for row, state in enumerate(states)
        if state.sampling.logprobs is not None
    }
    if not wanted:
        return {}
    rows, most = list(wanted), max(wanted.values())
    logits = logits[rows]
    ids = torch.tensor([[tokens[row]] for row in rows], device=logits.device)
    if most:
        ids = torch.cat([ids, likeliest(logits, most)], dim=-1)
    values = torch.log_softmax(logits, dim=-1).gather(-1, ids).tolist()
    return {
        row: Scored(own[0], tuple(zip(others[1:], own[1:], strict=True))[: wanted[row]])
        for row, own, others in zip(rows, values, ids.tolist(), strict=True)
    }
