"""People's own sentences out of public data sets, as wishes: a text, an intent, its slots.

Knows the sets' files; knows no prompt and no function. The sets are not part of this project; where
they come from and their licences are in the model's card.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants: ``intent`` is None where no function is meant. ``domain`` groups intents
    that can be confused. ``slots`` are values as they stand in the text."""

    text: str
    intent: str | None
    domain: str
    slots: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """A dialogue up to the call of one of a service's ``functions``, its result, what was said."""

    service: str
    functions: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    call: dict[str, Any]
    result: dict[str, Any]
    answer: str


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _repaired(text: str) -> str:
    """Undo UTF-8 that was read as Latin-1, of which snips.jsonl has some."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def clinc(folder: Path) -> list[Wish]:
    """Wishes of CLINC150 without slots, in 8 domains, and some out of scope."""
    return [
        Wish(row["text"], row["intent"], row["domain"]) for row in _lines(folder / "clinc.jsonl")
    ]


def snips(folder: Path) -> list[Wish]:
    """Wishes of SNIPS with slots, five intents."""
    return [
        Wish(
            _repaired(row["text"]),
            row["intent"],
            "media",
            {name: _repaired(str(value)) for name, value in row["slots"].items()},
        )
        for row in _lines(folder / "snips.jsonl")
    ]


def home(file: Path) -> list[Wish]:
    """Wishes of NLU Evaluation Data (home domain), 64 intents with slots, in Rasa's JSON form.

    Rows in which a slot occurs twice are left out.
    """
    wishes = []
    for row in json.loads(file.read_text(encoding="utf-8")):
        slots = {entity["entity"]: entity["value"] for entity in row["entities"]}
        scenario = row["intent"].split("_")[0]
        if len(slots) == len(row["entities"]) and scenario != "general":
            wishes.append(Wish(row["text"], row["intent"], scenario, slots))
    return wishes


def bookings(file: Path) -> list[Wish]:
    """What callers of a restaurant said, with slots: Restaurants-8k, of which nothing is trained.

    What answers a question that is not in the file, and rows without slots, are left out.
    """
    wishes = []
    for row in json.loads(file.read_text(encoding="utf-8")):
        text, labels = row["userInput"]["text"], row.get("labels", ())
        slots = {
            label["slot"]: text[
                label["valueSpan"].get("startIndex", 0) : label["valueSpan"]["endIndex"]
            ]
            for label in labels
        }
        if slots and len(slots) == len(labels) and not row.get("context"):
            wishes.append(Wish(text, "book_table", "restaurant", slots))
    return wishes


def services(folder: Path) -> list[ServiceCall]:
    """Calls of the Schema-Guided Dialogue set whose arguments can be read off the dialogue."""
    functions = {row["service"]: row["functions"] for row in _lines(folder / "sgd_tools.jsonl")}
    calls = [
        ServiceCall(functions=functions[row["service"]], **row)
        for row in _lines(folder / "sgd_calls.jsonl")
    ]
    return [call for call in calls if _is_readable(call)]


def _is_readable(call: ServiceCall) -> bool:
    said = " ".join(str(message["content"]) for message in call.messages).casefold()
    function = next(each for each in call.functions if each["name"] == call.call["name"])
    properties = function["parameters"]["properties"]
    return all(
        str(value).casefold() in said or "enum" in properties.get(name, {})
        for name, value in call.call["arguments"].items()
    )
