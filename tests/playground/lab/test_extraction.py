"""JSON mode over texts: one and many."""

import pytest

from playground.backends.local import LocalBackend
from playground.lab.extraction import extract_many, json_request
from playground.protocol import Sampling

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "city": {"type": "string"}},
    "required": ["name", "city"],
}
GREEDY = Sampling(temperature=0, max_tokens=128)


@pytest.mark.slow
async def test_twenty_texts_each_become_a_value(backend: LocalBackend) -> None:
    names = ["Anna", "Clara", "David", "Elena", "Frank"]
    cities = ["Paris", "Oslo", "Vienna", "Lisbon"]
    pairs = [(name, city) for name in names for city in cities]
    texts = [f"Name: {name}; City: {city}" for name, city in pairs]
    like = json_request("embedded", texts[0], PERSON, GREEDY)
    rows = [row async for row in extract_many(backend, like, texts)]
    assert sorted(row.index for row in rows) == list(range(20))
    assert {row.guarantee for row in rows} == {"strict"}
    exact = sum(
        row.value == dict(zip(("name", "city"), pairs[row.index], strict=True)) for row in rows
    )
    assert exact >= 18


async def test_a_text_that_fails_is_named_and_the_others_go_on(backend: LocalBackend) -> None:
    texts = ["Name: Anna; City: Oslo", "word " * 5000, "Name: Clara; City: Rome"]
    like = json_request("embedded", texts[0], PERSON, GREEDY)
    rows = sorted(
        [row async for row in extract_many(backend, like, texts)], key=lambda row: row.index
    )
    assert [bool(row.problem) for row in rows] == [False, True, False]
    assert "context" in rows[1].problem


async def test_a_value_that_was_cut_off_is_a_problem(backend: LocalBackend) -> None:
    like = json_request("embedded", "x", PERSON, Sampling(temperature=0, max_tokens=2))
    (row,) = [row async for row in extract_many(backend, like, ["Name: Anna; City: Oslo"])]
    assert "max tokens" in row.problem
