"""Grammars in the batch: which tokens may come next, by llguidance.

A `Matcher` follows one sequence. Requests with and without one share steps: a grammar is a mask on
its own row of logits. Knows grammar text and tokens; knows no JSON schema and no tool.
"""

import threading
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from playground.errors import InvalidRequest
from playground.models.tokenizer import ChatTokenizer

LIMITS = LLParserLimits(
    max_items_in_row=10_000, initial_lexer_fuel=5_000_000, step_lexer_fuel=1_000_000
)
COMMON_CLOSERS = 64
"""Closing tokens that are tried before the whole vocabulary."""
LITERALS = (b",", b"0", b"1", b"null", b"true", b"false", b"{}", b"[]", b"{", b"[")
"""Short JSON values and openings, the sooner closed the earlier. First the comma: where it may come
something else must follow, and zeros could follow a digit for ever."""

TokenMask = NDArray[np.bool_]
TokenIds = NDArray[np.int64]


class _Vocabulary:
    """The tokenizer as llguidance takes it: every token's bytes, and a way to tokenize text."""

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


class ShortestCompletion:
    """The order in which tokens are tried to bring a JSON answer to its end soon.

    Inside a string a closing bracket is ordinary text, and the quote ends it; elsewhere a quote
    would begin something. Both brackets are allowed at once inside strings only.
    """

    def __init__(self, tokens: Sequence[bytes], end_id: int) -> None:
        self._tokens = tokens
        self.end_id = end_id
        self._in_string = self._order(b'"')
        self._outside = self._order(b"}]")
        self._brackets = [tokens.index(text) for text in (b"}", b"]") if text in tokens]

    def is_control(self, token: int) -> bool:
        """Say whether a token stands for no text."""
        return not self._tokens[token]

    def best(self, allowed: TokenMask) -> int | None:
        """Return the allowed token that promises the soonest end."""
        order = self._in_string if allowed[self._brackets].all() else self._outside
        for candidates in (order[:COMMON_CLOSERS], order):  # the first few mostly suffice
            token = int(candidates[int(allowed[candidates].argmax())])
            if allowed[token]:
                return token
        return None

    def _order(self, first: bytes) -> TokenIds:
        """Order tokens with text: closers beginning with ``first``, other closers, the rest."""

        def rank(token: int) -> tuple[int, int, int]:
            text = self._tokens[token]
            if text and not text.strip(b'}]"'):
                return (0 if text[0] in first else 1, -len(text), token)
            place = 2 + LITERALS.index(text) if text in LITERALS else 20
            return (place, len(text), token)

        with_text = filter(self._tokens.__getitem__, range(len(self._tokens)))
        return np.array(sorted(with_text, key=rank))


class Matcher:
    """Follows one sequence through its grammar. Lives on the engine's thread once it is made."""

    def __init__(
        self, matcher: LLMatcher, vocabulary_size: int, completion: ShortestCompletion
    ) -> None:
        self._matcher = matcher
        self._vocabulary_size = vocabulary_size
        self._completion = completion

    @property
    def done(self) -> bool:
        """Whether nothing more can follow."""
        return bool(self._matcher.is_stopped())

    def fill_forbidden(self, row: TokenMask) -> None:
        """Mark in ``row`` the tokens that may not come next, ids beyond the vocabulary included.

        Raises ValueError where the grammar cannot go on.
        """
        row[:] = True
        known = min(len(row), self._vocabulary_size)
        np.logical_not(self.allowed()[:known], out=row[:known])
        if self._matcher.is_error():
            reason = _first_line(self._matcher.get_error())
            raise ValueError(f"the grammar cannot go on: {reason}")

    def keep_closable(self, token_id: int, tokens_left: int) -> int:
        """Return ``token_id`` if the answer can still end within ``tokens_left`` tokens after it,
        otherwise the token that brings the end nearest.

        ``token_id`` too where no end is in reach anyway, and for a control token after text: there
        the answer is cut off rather than ended.
        """
        if self._matcher.is_stopped() or token_id == self._completion.end_id:
            return token_id
        accepting = self._matcher.is_accepting()
        if not self._matcher.try_consume_tokens([token_id]):
            return token_id
        free_text = accepting and self._matcher.is_accepting()
        closable = free_text or self._shortest_end(tokens_left) is not None
        self._matcher.rollback(1)
        if closable:
            return token_id
        if accepting:
            is_control = self._completion.is_control(token_id)
            return token_id if is_control else self._completion.end_id
        path = self._shortest_end(tokens_left + 1)
        return path[0] if path else token_id

    def _shortest_end(self, max_tokens: int) -> list[int] | None:
        """Return at most ``max_tokens`` that end the answer from here, None if none are found.

        The end token is one of them where something else could follow.
        """
        path: list[int] = []
        while not self._may_end() and len(path) < max_tokens:
            token = self._completion.best(self.allowed())
            if token is None or not self._matcher.try_consume_tokens([token]):
                break
            path.append(token)
        ended, stopped = self._may_end(), self._matcher.is_stopped()
        if path:
            self._matcher.rollback(len(path))
        if not stopped:
            path = [*path, self._completion.end_id]
        return path if ended and len(path) <= max_tokens else None

    def _may_end(self) -> bool:
        return bool(self._matcher.is_stopped() or self._matcher.is_accepting())

    def allowed(self) -> TokenMask:
        """Return bool ``[vocabulary]``: the tokens that may come next."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little", count=self._vocabulary_size).view(np.bool_)

    def consume(self, token_id: int) -> None:
        """Move on by a token that was allowed.

        An error is raised by the next `fill_forbidden`: by then all tokens that were chosen in the
        same step have been consumed.
        """
        self._matcher.consume_token(token_id)

    def consume_forced(self) -> list[int]:
        """Consume and return the tokens that must follow now; they need no choosing."""
        tokens = [int(token) for token in self._matcher.compute_ff_tokens()]
        for token in tokens:
            self.consume(token)
        return tokens


class GrammarCompiler:
    """Makes matchers for one tokenizer. Safe to use from several threads."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._shared: tuple[LLTokenizer, ShortestCompletion] | None = None

    def compile(self, grammar: str) -> Matcher:
        """Return a fresh matcher for a grammar in llguidance's Lark. Raises `InvalidRequest`."""
        vocabulary, completion = self._vocabulary()
        matcher = LLMatcher(vocabulary, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise InvalidRequest("grammar", _first_line(matcher.get_error()))
        return Matcher(matcher, self._tokenizer.vocabulary_size, completion)

    def _vocabulary(self) -> tuple[LLTokenizer, ShortestCompletion]:
        """Return what all matchers share; made at the first grammar, which takes a while."""
        with self._lock:
            if self._shared is None:
                vocabulary = _Vocabulary(self._tokenizer)
                names = self._tokenizer.control_tokens
                texts = [
                    b"" if token in names else text for token, text in enumerate(vocabulary.tokens)
                ]
                llg = LLTokenizer(
                    TokenizerWrapper(vocabulary),
                    n_vocab=self._tokenizer.vocabulary_size,
                    eos_token=sorted(self._tokenizer.end_ids),
                )
                self._shared = llg, ShortestCompletion(texts, vocabulary.eos_token_id)
            return self._shared


def _first_line(error: str) -> str:
    return error.strip().splitlines()[0][:300] if error.strip() else "unknown"
