"""Log-probabilities in the three shapes that clients read."""

import codecs
from collections.abc import Sequence
from math import isnan

from playground.protocol import TokenLogprob

LEAST = -9999.0  # OpenAI's stand-in for minus infinity, which JSON cannot say


def finite(logprob: float) -> float:
    """The log-probability, clipped to what JSON can carry."""
    return max(logprob, LEAST)


def openai_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, object]:
    """OpenAI's chat shape."""
    content = [
        _token(token) | {"top_logprobs": [_token(other) for other in token.alternatives]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def together_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, object]:
    """Together's shape of a whole answer: one list a property. None for a prompt's first token,
    which nothing precedes.
    """
    return {
        "tokens": [token.text for token in tokens],
        "token_ids": [token.token_id for token in tokens],
        "token_logprobs": [None if isnan(t.logprob) else finite(t.logprob) for t in tokens],
        "top_logprobs": [None if isnan(t.logprob) else top_logprobs(t) for t in tokens],
    }


def top_logprobs(token: TokenLogprob) -> dict[str, float]:
    """The most likely tokens at one position; of two with the same text, the likelier."""
    return {other.text: finite(other.logprob) for other in reversed(token.alternatives)}


class LegacyLogprobs:
    """OpenAI's shape of text completions, piece by piece: ``text_offset`` counts the characters
    of the answer before each token. Token ids stand beside it for Together's client.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, tokens: Sequence[TokenLogprob]) -> dict[str, object]:
        """The shape of the next tokens."""
        offsets = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(token.utf8))
        return together_logprobs(tokens) | {"text_offset": offsets}


def _token(token: TokenLogprob) -> dict[str, object]:
    return {"token": token.text, "logprob": finite(token.logprob), "bytes": list(token.utf8)}
