"""Log-probabilities in the three shapes that clients read."""

import codecs
from collections.abc import Sequence
from typing import Any

from playground.protocol import TokenLogprob

LEAST = -9999.0  # OpenAI's stand-in for minus infinity, which JSON cannot say


def openai_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """OpenAI's chat shape."""
    content = [
        _token(token) | {"top_logprobs": [_token(other) for other in token.alternatives]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def together_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Together's shape of a whole answer: one list for each property."""
    return {
        "tokens": [token.text for token in tokens],
        "token_ids": [token.token_id for token in tokens],
        "token_logprobs": [_finite(token) for token in tokens],
        "top_logprobs": [top_logprobs(token) for token in tokens],
    }


def top_logprobs(token: TokenLogprob) -> dict[str, float]:
    """The likeliest tokens at one place; of two with the same text, the likelier."""
    return {other.text: _finite(other) for other in reversed(token.alternatives)}


class LegacyLogprobs:
    """OpenAI's shape of text completions, piece by piece: ``text_offset`` counts the characters
    before each token, from ``start`` on. Token ids stand beside it for Together's client.
    """

    def __init__(self, start: int = 0) -> None:
        self._offset = start
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        """The shape of the next tokens."""
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(token.utf8))
        return together_logprobs(tokens) | {"text_offset": offsets}


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.text, "logprob": _finite(token), "bytes": list(token.utf8)}


def _finite(token: TokenLogprob) -> float:
    return max(token.logprob, LEAST)
