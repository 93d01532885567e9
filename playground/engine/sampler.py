"""From logits to tokens: penalties, bias, temperature, truncation, seeds, log-probabilities.

Rows are independent: a row's choice depends on its own logits, parameters and generator only.
The order of operations is that of transformers' logits processors (generation/utils.py).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from playground.engine.grammar import Matcher, TokenMask
from playground.engine.penalties import Penalties, apply_penalties
from playground.engine.request import TokenScore
from playground.engine.truncation import (
    INVALID_LOGITS,
    NEEDS_FULL_SORT,
    SamplingBatch,
    draw_nucleus,
    draw_ranked,
    draw_untruncated,
    draw_wider,
    most_likely,
)
from playground.protocol import Sampling

CLOSING_WINDOW = 128
"""Within this many tokens of its limit a grammar's answer is kept closable."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The token chosen for a row, with its score if the request asked for log-probabilities."""

    token_id: int
    score: TokenScore | None = None


class SamplerState:
    """One sequence's sampling state: its generator, the tokens that penalties count, the place in
    its grammar and the tokens left of its limit.
    """

    def __init__(
        self,
        sampling: Sampling,
        prompt_ids: Sequence[int],
        vocabulary_size: int,
        max_new_tokens: int,
        matcher: Matcher | None = None,
        end_ids: Collection[int] = (),
    ) -> None:
        self.sampling = sampling
        self.matcher = matcher
        self._early_ids = [*end_ids, *sampling.stop_token_ids] if sampling.min_tokens else []
        self._tokens_to_min = sampling.min_tokens
        self.penalties = Penalties(sampling, prompt_ids, vocabulary_size)
        self.steered = False
        self._tokens_left = max_new_tokens
        self._uniform: float | None = None
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    @property
    def early_ids(self) -> list[int]:
        """Tokens that would end the answer before its ``min_tokens``; empty from then on."""
        return self._early_ids if self._tokens_to_min > 0 else []

    @property
    def grammar_done(self) -> bool:
        """Whether there is a grammar and it lets nothing follow."""
        return self.matcher is not None and self.matcher.done

    def uniform(self) -> float:
        """Return the number from [0, 1) that the next token is drawn with, until it is counted."""
        if self._uniform is None:
            self._uniform = torch.rand((), generator=self._generator, dtype=torch.float64).item()
        return self._uniform

    def count_forced(self) -> list[int]:
        """Count and return the tokens that the grammar leaves no choice about.

        None where scores are asked for: a token that is not chosen has none.
        """
        if self.matcher is None or self.sampling.logprobs is not None or self.matcher.done:
            return []
        tokens = self.matcher.consume_forced()
        self._tokens_left -= len(tokens)
        self._tokens_to_min -= len(tokens)
        for token_id in tokens:
            self.penalties.count(token_id)
        return tokens

    def steer(self, token_id: int) -> int:
        """Return the token, or near the limit one after which the grammar can still close."""
        if self.matcher is None or self._tokens_left > CLOSING_WINDOW:
            return token_id
        steered = self.matcher.keep_closable(token_id, self._tokens_left - 1)
        self.steered |= steered != token_id
        return steered

    def count(self, token_id: int) -> None:
        """Remember a chosen token of the answer."""
        self._tokens_left -= 1
        self._tokens_to_min -= 1
        self._uniform = None
        if self.matcher is not None:
            self.matcher.consume(token_id)
        self.penalties.count(token_id)


def choose(logits: Tensor, states: Sequence[SamplerState]) -> list[Choice]:
    """Choose the next token of each row of fp32 ``logits`` ``[rows, vocabulary]``, which stay.

    Raises `ValueError` if a row to draw from has no largest logit, before any state is changed.
    """
    adjusted = adjust(logits, states)
    chosen = draw(adjusted, states).tolist()
    if INVALID_LOGITS in chosen:
        raise ValueError("no token can be drawn: a row of logits has no finite maximum")
    open_rows = [row for row, token_id in enumerate(chosen) if token_id == NEEDS_FULL_SORT]
    if open_rows:
        drawn = draw_wider(_sampling_batch(adjusted, states, open_rows)).tolist()
        for row, token_id in zip(open_rows, drawn, strict=True):
            chosen[row] = token_id
    tokens: list[int] = []
    for token_id, state in zip(chosen, states, strict=True):
        tokens.append(state.steer(token_id))
        state.count(tokens[-1])
    scores = _scores(logits, states, tokens)
    return [Choice(token_id, scores.get(row)) for row, token_id in enumerate(tokens)]


def adjust(logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
    """Return the logits with penalties and bias, minus infinity where a grammar forbids and at
    tokens that would end an answer too early, unless its grammar has no others left.
    """
    penalties = {row: s.penalties for row, s in enumerate(states) if s.penalties.active}
    matchers = {row: s.matcher for row, s in enumerate(states) if s.matcher is not None}
    early = {row: s.early_ids for row, s in enumerate(states) if s.early_ids}
    if not penalties and not matchers and not early:
        return logits
    logits = logits.clone()
    apply_penalties(logits, penalties)
    for row, ids in early.items():
        if row not in matchers:
            logits[row, ids] = float("-inf")
    if matchers:
        forbidden = np.empty((len(matchers), logits.shape[-1]), dtype=np.bool_)
        for mask, (row, matcher) in zip(forbidden, matchers.items(), strict=True):
            matcher.fill_forbidden(mask)
            _forbid_early(mask, early.get(row, ()))
        masks = torch.from_numpy(forbidden).to(logits.device, non_blocking=True)
        rows = _index(list(matchers), logits)
        logits[rows] = logits[rows].masked_fill_(masks, float("-inf"))
    return logits


def _forbid_early(forbidden: TokenMask, early_ids: Collection[int]) -> None:
    """Forbid the tokens too, where at least one other is left."""
    if early_ids:
        without = forbidden.copy()
        without[list(early_ids)] = True
        if not without.all():
            forbidden[:] = without


def draw(logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
    """Return a token for each row: the most likely one at temperature 0, elsewhere a drawn one,
    `INVALID_LOGITS` or `NEEDS_FULL_SORT`.

    Rows are grouped by their parameters alone, so that no GPU has to be waited for (docs/log.md,
    "Drawing without waiting").
    """
    groups: dict[DrawMethod, list[int]] = {}
    for row, state in enumerate(states):
        groups.setdefault(_draw_method(state.sampling, logits.shape[-1]), []).append(row)
    if len(groups) == 1:
        ((method, rows),) = groups.items()
        return _draw_rows(method, logits, states, rows)
    tokens = torch.empty(len(states), dtype=torch.int64, device=logits.device)
    for method, rows in groups.items():
        tokens[_index(rows, logits)] = _draw_rows(method, logits, states, rows)
    return tokens


DrawMethod = Callable[[SamplingBatch], Tensor] | None
"""How a token is drawn; None takes the most likely one."""


def _draw_method(sampling: Sampling, vocabulary_size: int) -> DrawMethod:
    if sampling.temperature == 0:
        return None
    top_k = 0 < sampling.top_k < vocabulary_size
    if sampling.top_p < 1 and not top_k:
        return draw_nucleus
    return draw_ranked if top_k or sampling.min_p > 0 else draw_untruncated


def _draw_rows(
    method: DrawMethod, logits: Tensor, states: Sequence[SamplerState], rows: list[int]
) -> Tensor:
    if method is not None:
        return method(_sampling_batch(logits, states, rows))
    return _select(rows, logits).argmax(dim=-1)


def _sampling_batch(
    logits: Tensor, states: Sequence[SamplerState], rows: list[int]
) -> SamplingBatch:
    parameters = []
    for state in (states[row] for row in rows):
        sampling = state.sampling
        top_k = sampling.top_k if sampling.top_k < logits.shape[-1] else 0
        parameters.append(
            [sampling.temperature, top_k, sampling.top_p, sampling.min_p, state.uniform()]
        )
    columns = torch.tensor(parameters, dtype=torch.float64).to(logits.device, non_blocking=True)
    logits = _select(rows, logits)
    peak = logits.amax(dim=-1, keepdim=True).double()
    return SamplingBatch(logits, peak, *columns.unsqueeze(-1).unbind(dim=1))


def _select(rows: list[int], logits: Tensor) -> Tensor:
    return logits if len(rows) == len(logits) else logits[_index(rows, logits)]


def _index(rows: list[int], logits: Tensor) -> Tensor:
    return torch.tensor(rows).to(logits.device, non_blocking=True)


def _scores(
    logits: Tensor, states: Sequence[SamplerState], tokens: Sequence[int]
) -> dict[int, TokenScore]:
    """Return the scores that requests ask for, by row: of the model's own logits, unpenalized."""
    wanted = {
        row: min(state.sampling.logprobs, logits.shape[-1])
        for row, state in enumerate(states)
        if state.sampling.logprobs is not None
    }
    if not wanted:
        return {}
    rows, most = list(wanted), max(wanted.values())
    scored = score_tokens(logits[rows], [tokens[row] for row in rows], most)
    return {
        row: TokenScore(score.logprob, score.alternatives[: wanted[row]])
        for row, score in zip(rows, scored, strict=True)
    }


def score_tokens(logits: Tensor, tokens: Sequence[int], count: int) -> list[TokenScore]:
    """Return the score of one token a row, with ``count`` alternatives."""
    ids = torch.tensor(tokens, device=logits.device).unsqueeze(-1)
    if count:
        ids = torch.cat([ids, most_likely(logits, count)], dim=-1)
    logprobs = torch.log_softmax(logits, dim=-1).gather(-1, ids).tolist()
    return [
        TokenScore(chosen, tuple(zip(row_ids[1:], others, strict=True)))
        for row_ids, (chosen, *others) in zip(ids.tolist(), logprobs, strict=True)
    ]
