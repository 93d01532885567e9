"""Grammars in the batch: which tokens may come next, by llguidance.

A `Matcher` follows one sequence. Requests with and without one share steps: a grammar is a mask on
its own row of logits. Knows grammar text and tokens; knows no JSON schema and no tool.
"""

import threading
from collections.abc import Sequence

import numpy as np
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from torch import Tensor

from playground.errors import InvalidRequest
from playground.models.tokenizer import ChatTokenizer

LIMITS = LLParserLimits(
    max_items_in_row=10_000, initial_lexer_fuel=5_000_000, step_lexer_fuel=1_000_000
)


class _Vocabulary:
    """What llguidance asks of a tokenizer: every token's bytes, and how text is cut."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.end_ids)
        self.bos_token_id = None
        names = tokenizer.control_tokens
        self.special_token_ids = sorted(names)
        self.tokens = [
            names[token].encode() if token in names else tokenizer.token_bytes(token)
            for token in range(tokenizer.vocabulary_size)
        ]

    def __call__(self, text: str | bytes) -> list[int]:
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self._tokenizer.encode_plain(plain)


class Matcher:
    """Follows one sequence through its grammar. Lives on the engine's thread once it is made."""

    def __init__(self, matcher: LLMatcher, vocabulary_size: int) -> None:
        self._matcher = matcher
        self._vocabulary_size = vocabulary_size

    @property
    def done(self) -> bool:
        """Whether nothing more can follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self, width: int) -> Tensor:
        """Bool ``[width]``: the tokens that may come next; ids beyond the vocabulary may not."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.zeros(width, dtype=bool)
        known = min(width, self._vocabulary_size)
        mask[:known] = np.unpackbits(bits, bitorder="little", count=known).view(bool)
        self._check()
        return torch.from_numpy(mask)

    def take(self, token_id: int) -> None:
        """Move on by a token that was allowed."""
        self._matcher.consume_token(token_id)
        self._check()

    def forced(self) -> list[int]:
        """Tokens that must follow now, taken already; they need no choosing."""
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        for token in tokens:
            self.take(token)
        return tokens

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ValueError(f"the grammar cannot go on: {_first_line(self._matcher.get_error())}")


class Grammars:
    """Makes matchers for one tokenizer. Safe to use from several threads."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._llg: LLTokenizer | None = None

    def matcher(self, grammar: str) -> Matcher:
        """A fresh matcher for a grammar in llguidance's Lark. Raises `InvalidRequest`."""
        matcher = LLMatcher(self._vocabulary(), grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise InvalidRequest("grammar", _first_line(matcher.get_error()))
        return Matcher(matcher, self._tokenizer.vocabulary_size)

    def _vocabulary(self) -> LLTokenizer:
        with self._lock:
            if self._llg is None:
                wrapper = TokenizerWrapper(_Vocabulary(self._tokenizer))
                ends: Sequence[int] = sorted(self._tokenizer.end_ids)
                self._llg = LLTokenizer(
                    wrapper, n_vocab=self._tokenizer.vocabulary_size, eos_token=list(ends)
                )
            return self._llg


def _first_line(error: str) -> str:
    return error.strip().splitlines()[0][:300] if error.strip() else "unknown"
