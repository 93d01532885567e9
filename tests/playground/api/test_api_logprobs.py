"""The shapes of log-probabilities where text and tokens do not line up."""

import json

from playground.api.logprobs import LegacyLogprobs, openai_logprobs, together_logprobs
from playground.protocol import TokenLogprob


def token(utf8: bytes, logprob: float = -1.0, *others: TokenLogprob) -> TokenLogprob:
    return TokenLogprob(len(utf8), utf8.decode("utf-8", "replace"), utf8, logprob, others)


def test_offsets_count_characters_even_where_a_token_is_half_of_one():
    first, second = "é".encode()[:1], "é".encode()[1:]
    tokens = [token(b"a"), token(first), token(second), token(b"b")]
    assert LegacyLogprobs().push(tokens)["text_offset"] == [0, 1, 1, 2]


def test_offsets_go_on_from_piece_to_piece():
    logprobs = LegacyLogprobs()
    assert logprobs.push([token(b"Good")])["text_offset"] == [0]
    assert logprobs.push([token(b" day")])["text_offset"] == [4]


def test_minus_infinity_is_sent_as_a_number():
    tokens = [token(b"a", float("-inf"), token(b"b", float("-inf")))]
    for shape in (openai_logprobs(tokens), together_logprobs(tokens)):
        assert "-9999.0" in json.dumps(shape, allow_nan=False)


def test_of_two_alternatives_that_look_alike_the_likelier_is_kept():
    alike = (token(b"\xc3", -0.5), token(b"\xa9", -2.0))
    top = together_logprobs([token(b"\xc3", -0.5, *alike)])["top_logprobs"]
    assert top == [{"\ufffd": -0.5}]
