"""From logits to tokens: penalties, bias, temperature, truncation, seeds, log-probabilities.

Rows are independent: a row's choice depends on its own logits, parameters and generator only.
The order of operations is that of transformers' logits processors (generation/utils.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from playground.engine.grammar import Matcher
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
        self.generator = torch.Generator()
        if sampling.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(sampling.seed)
        self._answer_counts: Tensor | None = None
        self._in_prompt: Tensor | None = None
        if sampling.presence_penalty or sampling.frequency_penalty:
            self._answer_counts = torch.zeros(vocabulary_size)
        if sampling.repetition_penalty != 1.0:
            self._answer_counts = torch.zeros(vocabulary_size)
            self._in_prompt = torch.zeros(vocabulary_size, dtype=torch.bool)
            self._in_prompt[torch.tensor(prompt_ids)] = True
        self._bias: tuple[Tensor, Tensor] | None = None
        if sampling.logit_bias:
            ids, values = zip(*sampling.logit_bias.items(), strict=True)
            self._bias = (torch.tensor(ids), torch.tensor(values, dtype=torch.float32))

    @property
    def changes_logits(self) -> bool:
        """Whether penalties or bias apply."""
        return self._answer_counts is not None or self._bias is not None

    @property
    def matcher(self) -> Matcher | None:
        """What follows the grammar, if there is one."""
        return self._matcher

    @property
    def ended(self) -> bool:
        """Whether the grammar lets nothing follow."""
        return self._matcher is not None and self._matcher.done

    def adjusted(self, logits: Tensor) -> Tensor:
        """One row of logits ``[vocabulary]`` with penalties and bias; the input stays."""
        logits = logits.clone()
        sampling = self.sampling
        if self._answer_counts is not None:
            counts = self._answer_counts.to(logits.device)
            if self._in_prompt is not None:  # CTRL, arXiv:1909.05858
                seen = self._in_prompt.to(logits.device) | (counts > 0)
                penalty = sampling.repetition_penalty
                damped = torch.where(logits > 0, logits / penalty, logits * penalty)
                logits = torch.where(seen, damped, logits)
            logits -= sampling.presence_penalty * (counts > 0) + sampling.frequency_penalty * counts
        if self._bias is not None:
            ids, values = self._bias
            logits[ids.to(logits.device)] += values.to(logits.device)
        return logits

    def forced(self) -> list[int]:
        """Tokens that the grammar leaves no choice about; counted already. None where scores are
        wanted: what is not chosen has none.
        """
        if self._matcher is None or self.sampling.logprobs is not None or self._matcher.done:
            return []
        tokens = self._matcher.forced()
        self._left -= len(tokens)
        if self._answer_counts is not None:
            for token_id in tokens:
                self._answer_counts[token_id] += 1
        return tokens

    def within_budget(self, token_id: int) -> int:
        """The token, or near the end of the budget one after which the grammar can still close."""
        if self._matcher is None or self._left > CLOSING_WINDOW:
            return token_id
        return self._matcher.within(token_id, self._left - 1)

    def count(self, token_id: int) -> None:
        """Remember a token of the answer."""
        self._left -= 1
        if self._matcher is not None:
            self._matcher.take(token_id)
        if self._answer_counts is not None:
            self._answer_counts[token_id] += 1


def choose(logits: Tensor, states: Sequence[SamplerState]) -> list[Choice]:
    """The next token of each row of ``logits`` ``[rows, vocabulary]``, in fp32."""
    scored = _score(logits, states)
    if any(state.changes_logits for state in states):
        logits = torch.stack(
            [
                state.adjusted(row) if state.changes_logits else row
                for row, state in zip(logits, states, strict=True)
            ]
        )
    logits = _held(logits, states)
    tokens = logits.argmax(dim=-1)
    drawn = [index for index, state in enumerate(states) if state.sampling.temperature > 0]
    if drawn:
        tokens[drawn] = _draw(logits[drawn], [states[index] for index in drawn])
    choices: list[Choice] = []
    for index, (token_id, state) in enumerate(zip(tokens.tolist(), states, strict=True)):
        token_id = state.within_budget(token_id)
        state.count(token_id)
        choices.append(Choice(token_id, _read_score(scored.get(index), token_id, state)))
    return choices


def _held(logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
    """The logits with what grammars forbid at minus infinity; the input stays."""
    rows = [index for index, state in enumerate(states) if state.matcher is not None]
    if not rows:
        return logits
    forbidden = np.zeros(logits.shape, dtype=np.bool_)
    for index in rows:
        matcher = states[index].matcher
        assert matcher is not None
        matcher.forbid(forbidden[index])
    return logits.masked_fill(torch.from_numpy(forbidden).to(logits.device), float("-inf"))


def _draw(logits: Tensor, states: Sequence[SamplerState]) -> Tensor:
    """Sample each row by inverting its cumulative distribution at one number of its generator."""

    def column(name: str) -> Tensor:
        values = [[float(getattr(state.sampling, name))] for state in states]
        return torch.tensor(values, dtype=torch.float64, device=logits.device)

    ordered, token_ids = torch.sort(logits.double(), dim=-1, descending=True, stable=True)
    weights = torch.softmax(ordered / column("temperature"), dim=-1)
    rank = torch.arange(weights.shape[-1], device=logits.device)
    top_k = column("top_k")
    weights = weights.masked_fill((rank >= top_k) & (top_k > 0), 0.0)
    weights /= weights.sum(dim=-1, keepdim=True)
    before = weights.cumsum(dim=-1) - weights  # nucleus sampling, arXiv:1904.09751
    weights = weights.masked_fill((before >= column("top_p")) & (rank > 0), 0.0)
    weights = weights.masked_fill(weights < column("min_p") * weights[:, :1], 0.0)  # 2407.01082
    cumulative = weights.cumsum(dim=-1)
    uniform = torch.stack(
        [torch.rand(1, generator=state.generator, dtype=torch.float64) for state in states]
    ).to(logits.device)
    place = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    last = (weights > 0).sum(dim=-1, keepdim=True) - 1
    return token_ids.gather(-1, torch.minimum(place, last)).squeeze(-1)


def _score(logits: Tensor, states: Sequence[SamplerState]) -> dict[int, Tensor]:
    """Log-probabilities ``[vocabulary]`` of the rows whose requests want them."""
    return {
        index: torch.log_softmax(logits[index], dim=-1)
        for index, state in enumerate(states)
        if state.sampling.logprobs is not None
    }


def _read_score(logprobs: Tensor | None, token_id: int, state: SamplerState) -> Scored | None:
    if logprobs is None or state.sampling.logprobs is None:
        return None
    values, ids = logprobs.topk(min(state.sampling.logprobs, logprobs.shape[-1]))
    alternatives = tuple(zip(ids.tolist(), values.tolist(), strict=True))
    return Scored(float(logprobs[token_id]), alternatives)
