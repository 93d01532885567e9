"""Log-probabilities as servers write them → `TokenLogprob`. Knows no stream."""

import math
from dataclasses import replace
from itertools import zip_longest

from playground.protocol import TokenLogprob
from playground.protocol.json_types import Json, JsonObject, list_at, objects_at, text_at

UNKNOWN_ID = -1
"""The id of a token of which a server tells the text only."""


def token_logprobs(choice: JsonObject, part: JsonObject) -> tuple[TokenLogprob, ...]:
    """Those of a choice: OpenAI's chat form, its older form with parallel lists, or Together's
    stream, where one number stands beside the piece of text.
    """
    scores = choice.get("logprobs")
    if isinstance(scores, dict):
        content = objects_at(scores, "content")
        if content:
            return tuple(_of_entry(entry) for entry in content)
        return _of_lists(scores)
    if isinstance(scores, float | int) and not isinstance(scores, bool):
        text = text_at(part, "content") or text_at(choice, "text")
        token = _token(text, float(scores), part.get("token_id"))
        return (replace(token, alternatives=_ranked(choice.get("top_logprobs"))),)
    return ()


def prompt_logprobs(scored: Json) -> tuple[TokenLogprob, ...]:
    """vLLM's: for each token of the prompt a mapping of ids, the token's own first."""
    tokens = []
    for entry in scored if isinstance(scored, list) else []:
        if not isinstance(entry, dict) or not entry:  # nothing precedes the first
            tokens.append(_token("", math.nan, None))
            continue
        described = [
            _token(text_at(value, "decoded_token"), _number(value.get("logprob")), int(token_id))
            for token_id, value in entry.items()
            if isinstance(value, dict) and token_id.isdecimal()
        ]
        first = described[0]
        ordered = sorted(described, key=lambda token: -token.logprob)
        tokens.append(replace(first, alternatives=tuple(ordered)))
    return tuple(tokens)


def _of_entry(entry: JsonObject) -> TokenLogprob:
    alternatives = tuple(_of_alternative(each) for each in objects_at(entry, "top_logprobs"))
    return replace(_of_alternative(entry), alternatives=alternatives)


def _of_alternative(entry: JsonObject) -> TokenLogprob:
    data = [byte for byte in list_at(entry, "bytes") if isinstance(byte, int) and 0 <= byte < 256]
    text = text_at(entry, "token")
    token_id = entry.get("id")
    utf8 = bytes(data) if data else text.encode("utf-8", "replace")
    known = token_id if isinstance(token_id, int) else UNKNOWN_ID
    return TokenLogprob(known, text, utf8, _number(entry.get("logprob")))


def _of_lists(scores: JsonObject) -> tuple[TokenLogprob, ...]:
    texts, numbers, ids, top = (
        list_at(scores, name) for name in ("tokens", "token_logprobs", "token_ids", "top_logprobs")
    )
    tokens = []
    for text, logprob, token_id, others in zip_longest(texts, numbers, ids, top):
        if not isinstance(text, str):
            continue
        token = _token(text, _number(logprob), token_id)
        tokens.append(replace(token, alternatives=_ranked(others)))
    return tuple(tokens)


def _ranked(named: Json) -> tuple[TokenLogprob, ...]:
    """A mapping of texts to log-probabilities, most likely first."""
    pairs = named.items() if isinstance(named, dict) else ()
    tokens = (_token(text, _number(value), None) for text, value in pairs)
    return tuple(sorted(tokens, key=lambda token: -token.logprob))


def _token(text: str, logprob: float, token_id: Json) -> TokenLogprob:
    known = token_id if isinstance(token_id, int) else UNKNOWN_ID
    return TokenLogprob(known, text, text.encode("utf-8", "replace"), logprob)


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
