"""Grammars in the batch: which tokens may come next, by llguidance.

A `Matcher` follows one sequence. Requests with and without one share steps: a grammar is a mask on
its own row of logits. Knows grammar text and tokens; knows no JSON schema and no tool.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

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


COMMON_CLOSERS = 64
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class ShortestCompletion:
    """In which order tokens are tried to bring an answer to its end soon.

    Inside a string a closing bracket is ordinary text, and the quote ends it; elsewhere a quote
    would begin something. Both brackets are allowed at once inside strings only.
    """

    def __init__(self, tokens: Sequence[bytes], end: int) -> None:
        self._tokens = tokens
        self.end = end

        def order(first: bytes) -> "np.ndarray[Any, np.dtype[np.int64]]":
            def rank(token: int) -> tuple[int, int, int]:
                text = tokens[token]
                if text and not text.strip(b'}]"'):
                    return (0 if text[0] in first else 1, -len(text), token)
                words = (b"0", b"1", b"null", b"true", b"false", b"{}", b"[]", b"{", b"[")
                return (2 + words.index(text) if text in words else 20, len(text), token)

            return np.array(sorted(filter(tokens.__getitem__, range(len(tokens))), key=rank))

        self._in_string = order(b'"')
        self._outside = order(b"}]")
        self._brackets = [tokens.index(each) for each in (b"}", b"]") if each in tokens]

    def is_control(self, token: int) -> bool:
        """Whether it stands for no text."""
        return not self._tokens[token]

    def best(self, allowed: Mask) -> int | None:
        """The allowed token that promises the soonest end."""
        order = self._in_string if allowed[self._brackets].all() else self._outside
        for tried in (order[:COMMON_CLOSERS], order):  # the first few mostly suffice
            token = int(tried[int(allowed[tried].argmax())])
            if allowed[token]:
                return token
        return None


class Matcher:
    """Follows one sequence through its grammar. Lives on the engine's thread once it is made."""

    def __init__(
        self, matcher: LLMatcher, vocabulary_size: int, closers: ShortestCompletion
    ) -> None:
        self._matcher = matcher
        self._vocabulary_size = vocabulary_size
        self._closers = closers

    @property
    def done(self) -> bool:
        """Whether nothing more can follow."""
        return bool(self._matcher.is_stopped())

    def forbid(self, row: Mask) -> None:
        """Mark in ``row`` the tokens that may not come next; ids beyond the vocabulary may not.

        Raises ValueError where the grammar cannot go on.
        """
        row[:] = True
        known = min(len(row), self._vocabulary_size)
        np.logical_not(self.allowed()[:known], out=row[:known])
        self._check()

    def within(self, token_id: int, left: int) -> int:
        """``token_id`` if the answer can still end in ``left`` tokens after it; otherwise the token
        that brings the end nearest. The same where no end is in reach anyway, and for a control
        token after text, which is cut rather than ended.
        """
        if self._matcher.is_stopped() or token_id == self._closers.end:
            return token_id
        accepting = self._matcher.is_accepting()
        if not self._matcher.try_consume_tokens([token_id]):
            return token_id
        free_text = accepting and self._matcher.is_accepting()
        closed = free_text or self._closing(left) is not None
        self._matcher.rollback(1)
        if closed:
            return token_id
        if accepting:
            return token_id if self._closers.is_control(token_id) else self._closers.end
        closing = self._closing(left + 1)
        return closing[0] if closing else token_id

    def _closing(self, most: int) -> list[int] | None:
        """Tokens that end the answer from here, the end token included where something else could
        follow; at most this many, None if none are found.
        """
        taken: list[int] = []
        while not self._ended() and len(taken) < most:
            token = self._closers.best(self.allowed())
            if token is None or not self._matcher.try_consume_tokens([token]):
                break
            taken.append(token)
        ended, stopped = self._ended(), self._matcher.is_stopped()
        if taken:
            self._matcher.rollback(len(taken))
        path = taken if stopped else [*taken, self._closers.end]
        return path if ended and len(path) <= most else None

    def _ended(self) -> bool:
        return bool(self._matcher.is_stopped() or self._matcher.is_accepting())

    def allowed(self) -> Mask:
        """Bool ``[vocabulary]``: the tokens that may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little", count=self._vocabulary_size).view(np.bool_)

    def take(self, token_id: int) -> None:
        """Move on by a token that was allowed. What goes wrong is raised when a choice is next
        asked for: by then all that was chosen beside it has been taken.
        """
        self._matcher.consume_token(token_id)

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
        self._closers: ShortestCompletion | None = None

    def matcher(self, grammar: str) -> Matcher:
        """A fresh matcher for a grammar in llguidance's Lark. Raises `InvalidRequest`."""
        vocabulary, closers = self._vocabulary()
        matcher = LLMatcher(vocabulary, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise InvalidRequest("grammar", _first_line(matcher.get_error()))
        return Matcher(matcher, self._tokenizer.vocabulary_size, closers)

    def _vocabulary(self) -> tuple[LLTokenizer, ShortestCompletion]:
        with self._lock:
            if self._llg is None or self._closers is None:
                vocabulary = _Vocabulary(self._tokenizer)
                wrapper = TokenizerWrapper(vocabulary)
                names = self._tokenizer.control_tokens
                self._closers = ShortestCompletion(
                    [b"" if at in names else text for at, text in enumerate(vocabulary.tokens)],
                    vocabulary.eos_token_id,
                )
                ends: Sequence[int] = sorted(self._tokenizer.end_ids)
                self._llg = LLTokenizer(
                    wrapper, n_vocab=self._tokenizer.vocabulary_size, eos_token=list(ends)
                )
            return self._llg, self._closers


def _first_line(error: str) -> str:
    return error.strip().splitlines()[0][:300] if error.strip() else "unknown"
