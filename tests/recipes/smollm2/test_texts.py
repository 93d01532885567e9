"""Drawn texts hold the values that are asked for."""

import json
import random
from pathlib import Path

from recipes.smollm2 import rows as recipe
from recipes.smollm2.drawer import Drawer
from recipes.smollm2.rows import drawn_texts, lines_of
from recipes.smollm2.texts import text_with_fields

OWN = Path(recipe.__file__).parent / "own"


def test_values_stand_in_drawn_text() -> None:
    rng = random.Random(0)
    for _ in range(300):
        text, values, types = text_with_fields(rng)
        assert set(values) == set(types)
        assert len(values) > 1
        for name, value in values.items():
            assert (f"{value:.2f}" if isinstance(value, float) else str(value)) in text
            assert isinstance(value, str) == (types[name] == "string")


def test_drawn_texts_are_fields_or_arguments() -> None:
    rows = drawn_texts(Drawer(0, ()), lines_of(OWN / "tools.jsonl"), 9, random.Random(0))
    calls = [row for row in rows if "tools" in row]
    assert len(calls) == 3
    for row in calls:
        (call,) = row["messages"][-1]["tool_calls"]
        offered = {tool["function"]["name"]: tool["function"] for tool in row["tools"]}
        required = offered[call["function"]["name"]]["parameters"]["required"]
        assert list(json.loads(call["function"]["arguments"])) == required
    for row in rows:
        if row not in calls:
            shown = row["messages"][0]["content"]
            assert all(f'"{name}"' in shown for name in json.loads(row["messages"][-1]["content"]))
