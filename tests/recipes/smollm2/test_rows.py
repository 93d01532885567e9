"""Rows for SmolLM2, made of a few invented sentences in the shapes of the public sets."""

import json
import random
from pathlib import Path

import pytest

from finetune.data.rows import read_rows
from recipes.smollm2 import rows as recipe
from recipes.smollm2.drawer import Drawer, Row
from recipes.smollm2.rows import (
    HELD_OUT_INTENTS,
    extractions,
    is_held_out,
    lines_of,
    own_rows,
    sessions,
    wish_rows,
)
from recipes.smollm2.sentences import Wish, bookings, home, services, snips

WISHES = [
    Wish(f"wake me at {hour} on {day}", "alarm_set", "alarm", {"time": hour, "date": day})
    for hour in ("six", "8 am")
    for day in ("monday", "may 3")
] + [
    Wish(f"play {song} by {artist}", "play_music", "play", {"song": song, "artist": artist})
    for song in ("blue moon", "so what")
    for artist in ("ella", "miles")
]
OWN = Path(recipe.__file__).parent / "own"


def called(row: Row) -> dict[str, object] | None:
    calls = row["messages"][-1].get("tool_calls")
    return calls[0]["function"] if calls else None


def test_called_function_is_offered() -> None:
    drawn = wish_rows(Drawer(0, ()), WISHES, (), 60, random.Random(0))
    calls = [(called(row), row) for row in drawn]
    assert sum(call is not None for call, _ in calls) > 40
    for call, row in calls:
        names = [tool["function"]["name"] for tool in row["tools"]]
        assert len(set(names)) == len(names)
        if call:
            assert call["name"] in names


def test_arguments_stand_in_text() -> None:
    for row in wish_rows(Drawer(1, ()), WISHES, (), 40, random.Random(1)):
        call = called(row)
        text = next(m["content"] for m in row["messages"] if m["role"] == "user")
        for value in json.loads(str(call["arguments"])).values() if call else ():
            assert value in text


def test_wish_without_its_function_is_refused() -> None:
    rows = wish_rows(Drawer(2, ()), WISHES, (), 80, random.Random(2))
    refused = [row for row in rows if not called(row)]
    assert refused
    for row in refused:
        wanted = "alarm" if "wake" in str(row["messages"]) else "play"
        names = [tool["function"]["name"].lower() for tool in row["tools"]]
        assert not any(wanted in name for name in names)


def test_sessions_refuse_what_no_function_does() -> None:
    elsewhere = [Wish(f"boil {n} eggs", "cook_eggs", "kitchen", {"count": str(n)}) for n in "456"]
    called_names: list[str] = []
    refused = 0
    for row in sessions(Drawer(3, ()), [*WISHES, *elsewhere], (), 60):
        offered = {tool["function"]["name"].replace("_", "").lower() for tool in row["tools"]}
        for asked, given in zip(row["messages"], row["messages"][1:], strict=False):
            if asked["role"] != "user":
                continue
            wanted = next(w.intent for w in WISHES + elsewhere if w.text == asked["content"])
            is_offered = str(wanted).replace("_", "") in offered
            assert bool(given.get("tool_calls")) == is_offered
            called_names += [str(wanted)] if is_offered else []
            refused += not is_offered
    assert refused > 20
    assert set(called_names) == {"alarm_set", "play_music", "cook_eggs"}


def test_texts_of_one_schema_have_its_fields() -> None:
    for row in extractions(Drawer(4, ()), WISHES, 40, random.Random(4)):
        answers = [json.loads(m["content"]) for m in row["messages"] if m["role"] == "assistant"]
        assert len({tuple(answer) for answer in answers}) == 1
        for text, answer in zip(row["messages"][1::2], answers, strict=True):
            assert all(value in text["content"] for value in answer.values())


def test_own_rows_can_all_be_trained_on(tmp_path: Path) -> None:
    rows = own_rows(Drawer(0, ()), OWN, random.Random(0))
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = read_rows(file)
    assert not read.errors
    assert len(read.conversations) == len(rows) > 1600


def test_own_request_becomes_fields() -> None:
    (request,) = [row for row in lines_of(OWN / "tools.jsonl") if len(row["arguments"]) > 4][:1]
    row = Drawer(0, ()).request_as_text(request)
    assert json.loads(row["messages"][-1]["content"]) == request["arguments"]
    assert "tools" not in row


def test_own_text_becomes_arguments() -> None:
    text = lines_of(OWN / "extraction.jsonl")[0]
    row = Drawer(0, ()).text_as_request(text, lines_of(OWN / "tools.jsonl"))
    call = called(row)
    assert call
    assert json.loads(str(call["arguments"])) == text["output"]
    offered = {tool["function"]["name"]: tool["function"] for tool in row["tools"]}
    assert offered[str(call["name"])]["parameters"] == text["schema"]


def test_sets_are_read_in_their_shapes(tmp_path: Path) -> None:
    entities = [{"entity": "date", "value": "monday"}]
    twice = [*entities, {"entity": "date", "value": "may"}]
    (tmp_path / "home.json").write_text(
        json.dumps(
            [
                {"text": "wake me monday", "intent": "alarm_set", "entities": entities},
                {"text": "monday or may", "intent": "alarm_set", "entities": twice},
                {"text": "yes", "intent": "general_affirm", "entities": []},
            ]
        )
    )
    assert home(tmp_path / "home.json") == [
        Wish("wake me monday", "alarm_set", "alarm", {"date": "monday"})
    ]
    (tmp_path / "snips.jsonl").write_text(
        json.dumps({"text": "CafÃ©", "intent": "GetWeather", "slots": {"city": "CafÃ©"}}) + "\n"
    )
    assert snips(tmp_path)[0].slots == {"city": "Café"}


@pytest.mark.parametrize(("value", "kept"), [("Oslo", True), ("2019-03-01", False)])
def test_unreadable_arguments_leave_call_out(value: str, kept: bool, tmp_path: Path) -> None:
    properties = {"place": {"type": "string"}}
    function = {"name": "Go", "parameters": {"type": "object", "properties": properties}}
    call = {
        "service": "Bus",
        "messages": [{"role": "user", "content": "to oslo on the first"}],
        "call": {"name": "Go", "arguments": {"place": value}},
        "result": {},
        "answer": "Done.",
    }
    (tmp_path / "sgd_tools.jsonl").write_text(
        json.dumps({"service": "Bus", "functions": [function]}) + "\n"
    )
    (tmp_path / "sgd_calls.jsonl").write_text(json.dumps(call) + "\n")
    assert bool(services(tmp_path)) == kept


def test_bookings_have_the_spans_of_their_slots(tmp_path: Path) -> None:
    spans = [
        {"slot": "people", "valueSpan": {"endIndex": 5}},
        {"slot": "time", "valueSpan": {"startIndex": 13, "endIndex": 16}},
    ]
    rows = [
        {"userInput": {"text": "Three at half six"}, "labels": spans[:1]},
        {"userInput": {"text": "Three around 6pm"}, "labels": spans},
        {"userInput": {"text": "Three around 6pm"}, "labels": spans[1:] * 2},
        {"userInput": {"text": "four"}, "labels": spans[:1], "context": {"requestedSlots": ["x"]}},
        {"userInput": {"text": "Hello"}},
    ]
    file = tmp_path / "test.json"
    file.write_text(json.dumps(rows))
    assert [wish.slots for wish in bookings(file)] == [
        {"people": "Three"},
        {"people": "Three", "time": "6pm"},
    ]


@pytest.mark.parametrize("name", sorted(HELD_OUT_INTENTS))
def test_held_out_intent_is_never_asked(name: str) -> None:
    assert is_held_out(Wish("A wish", name, "home"))
