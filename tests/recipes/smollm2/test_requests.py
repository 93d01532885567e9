"""Drawn requests say what their calls have, and rows of them hold together."""

import json
import random
from pathlib import Path

import pytest

import recipes.smollm2
from recipes.smollm2.drawer import REFUSALS, Drawer, Row
from recipes.smollm2.requests import Form, draw_function, draw_request, forms_of
from recipes.smollm2.sentences import Wish
from recipes.smollm2.tenth import drawn_extraction, drawn_session, worlds

OWN = Path(recipes.smollm2.__file__).parent / "own"
FORMS = forms_of(OWN / "forms.jsonl")
ROWS = [drawn_session(Drawer(seed, ()), random.Random(seed), FORMS, ()) for seed in range(60)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.names[0])
def test_arguments_stand_in_the_request(form: Form) -> None:
    rng = random.Random(3)
    for _ in range(12):
        function, names = draw_function(rng, form)
        text, arguments = draw_request(rng, form, names)
        assert arguments.keys() <= function["parameters"]["properties"].keys()
        for value in arguments.values():
            if isinstance(value, str):
                assert value.casefold() in text.casefold()


def test_no_form_is_a_held_out_function() -> None:
    lines = (OWN / "held_out" / "tools.jsonl").read_text(encoding="utf-8").splitlines()
    kept = {json.loads(line)["function"]["name"].casefold() for line in lines}
    assert kept
    assert not kept & {name.casefold() for form in FORMS for name in form.names}


def calls_of(row: Row) -> list[tuple[str, dict[str, object]]]:
    made = [each["function"] for one in row["messages"] for each in one.get("tool_calls", ())]
    return [(each["name"], json.loads(each["arguments"])) for each in made]


def test_sessions_call_functions_that_exist() -> None:
    for row in ROWS:
        functions = {tool["function"]["name"]: tool["function"] for tool in row["tools"]}
        for name, arguments in calls_of(row):
            parameters = functions[name]["parameters"]
            assert arguments.keys() <= parameters["properties"].keys()
            assert {*parameters.get("required", ())} <= arguments.keys()


def test_sessions_refuse_and_call() -> None:
    refused = [
        row for row in ROWS if any(each.get("content") in REFUSALS for each in row["messages"])
    ]
    assert 5 < len(refused) < 50
    assert sum(bool(calls_of(row)) for row in ROWS) > 40


def test_drawn_extractions_fill_the_schema() -> None:
    for seed in range(20):
        row = drawn_extraction(Drawer(seed, ()), random.Random(seed), FORMS)
        shown = row["messages"][0]["content"]
        schema = json.loads(shown[shown.index("{") :])
        answers = [each["content"] for each in row["messages"] if each["role"] == "assistant"]
        assert all([*json.loads(answer)] == schema["required"] for answer in answers)


def test_worlds_rename_slots_without_collision() -> None:
    wish = Wish("Ember by Mira", "play", "media", {"track": "Ember", "song_name": "Ember II"})
    names = [tuple(world[0].slots) for world in worlds(random.Random(1), [wish], 40)]
    assert len({*names}) > 5
    assert all(len(each) == len({*each}) <= 2 for each in names)
