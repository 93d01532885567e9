"""People's requests to functions of many kinds, drawn with names, numbers and parameter names that
are new each time: so that a value goes to the parameter that is asked for, and none is known by
heart. Knows no prompt and no held-out case.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.smollm2.texts import CITIES, DAYS, FIRMS, FIRST, LAST, MONTHS, POOLS

COUNTS = "two three four five six seven eight nine ten eleven twelve"
STARTS = "Bar Cor Dal Fen Gri Hol Jas Kel Lor Mar Nor Pel Quin Ros Sel Tar Ul Ver Wil Yar Zan Bri"
ENDS = "ano bury dale eth field ford ia ine ingen ola ora ovic stad ton ula vik wood ya zu hurst"
THINGS = (
    "cable drum", "mountain tent", "paper shredder", "sewing kit", "garden hose", "steel ladder",
    "toaster", "guitar strings", "baby monitor", "snow shovel", "hiking boots", "printer toner",
    "rubber gloves", "wool scarf", "camera bag", "coffee filters", "phone charger", "drill bits",
)  # fmt: skip
TASKS = (
    "water the plants", "call the bank", "buy stamps", "clean the gutters", "renew the insurance",
    "feed the neighbour's cat", "check the oil", "pay the plumber", "pick up the dry cleaning",
    "send the slides", "book the hall", "take the bins out", "sign the lease", "charge the drill",
)  # fmt: skip
MESSAGES = (
    "I'm running late", "the keys are under the mat", "dinner is at eight", "happy birthday",
    "please bring the folding table", "we won", "the train is cancelled", "see you tomorrow",
    "the contract is signed", "don't forget the tickets", "the parcel has come", "call me back",
)  # fmt: skip
TOPICS = (
    "volcanoes", "the Ottoman Empire", "sourdough", "knitting", "solar panels", "jazz history",
    "beekeeping", "tax law", "chess openings", "coral reefs", "medieval castles", "bird migration",
)  # fmt: skip
FOODS = (
    "oat milk", "rye bread", "red lentils", "goat cheese", "green olives", "frozen peas",
    "brown sugar", "chicken thighs", "basmati rice", "plain yoghurt", "dried figs", "peanut butter",
)  # fmt: skip
PLACES = (
    "kitchen", "attic", "cellar", "nursery", "hallway", "guest room", "workshop", "office",
    "garage", "bathroom", "conservatory", "library", "pantry", "bedroom", "porch", "studio",
)  # fmt: skip
SONGS = (
    "Silver Rain", "Northern Line", "Paper Boats", "Hold the Door", "Evening Bells", "Slow Machine",
    "Under Glass", "My Last Nickel", "Blue Harbour", "The Long Field", "Falling Upwards", "Ember",
)  # fmt: skip
LANGUAGES = "French German Turkish Polish Japanese Swedish Hindi Greek Dutch Arabic Finnish Czech"
ILLNESSES = (
    "a sore throat", "back pain", "a migraine", "a rash", "a fever", "hay fever", "a twisted ankle",
    "a toothache", "insomnia", "a cough",
)  # fmt: skip
JOBS = (
    "tiler", "roofer", "piano tuner", "locksmith", "dog trainer", "maths tutor", "cleaner",
    "photographer", "painter", "gardener",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's names to choose from, and the pool that its values are drawn from: one of
    `DRAWS`, an enum ``a/b/c``, or ``bool:`` and the words that say true."""

    names: tuple[str, ...]
    pool: str


@dataclass(frozen=True, slots=True)
class Form:
    """A function's names to choose from, its description, its parameters and requests to it.

    In a request ``{0}`` is the first parameter's value.
    """

    names: tuple[str, ...]
    description: str
    parameters: tuple[Parameter, ...]
    requests: tuple[str, ...]


Drawn = tuple[str, Any]
"""A value as a request has it, and as the call has it."""


def _new_name(rng: random.Random) -> str:
    return rng.choice(STARTS.split()) + rng.choice(ENDS.split())


def _person(rng: random.Random) -> str:
    first = rng.choice(FIRST.split()) if rng.random() < 0.6 else _new_name(rng)
    if rng.random() < 0.35:
        return first
    last = rng.choice(LAST.split()) if rng.random() < 0.5 else _new_name(rng)
    return f"{first} {last}"


def _city(rng: random.Random) -> str:
    return rng.choice(CITIES.split()) if rng.random() < 0.5 else _new_name(rng)


def _same(draw: Callable[[random.Random], str]) -> Callable[[random.Random], Drawn]:
    def drawn(rng: random.Random) -> Drawn:
        value = draw(rng)
        return value, value

    return drawn


def _of(words: tuple[str, ...] | str) -> Callable[[random.Random], Drawn]:
    return _same(lambda rng: rng.choice(words.split() if isinstance(words, str) else words))


def _few(rng: random.Random) -> Drawn:
    number = rng.randint(2, 12)
    shown = COUNTS.split()[number - 2] if rng.random() < 0.5 else str(number)
    return shown, number


def _number(low: int, high: int) -> Callable[[random.Random], Drawn]:
    def drawn(rng: random.Random) -> Drawn:
        number = rng.randint(low, high)
        return str(number), number

    return drawn


def _money(rng: random.Random) -> Drawn:
    value = rng.choice(
        (rng.randint(5, 950), rng.randint(300, 90000) / 100, rng.randint(1, 40) * 50)
    )
    return (f"{value:.2f}" if isinstance(value, float) else str(value)), value


def _day(rng: random.Random) -> str:
    day, month = rng.randint(1, 28), rng.choice(MONTHS.split())
    return rng.choice((
        rng.choice(DAYS.split()), rng.choice(DAYS.split()).lower(), "tomorrow", "today", "tonight",
        f"{day} {month}", f"{month} {day}", f"the {day}th", f"next {rng.choice(DAYS.split())}",
    ))  # fmt: skip


def _time(rng: random.Random) -> str:
    hour = rng.randint(1, 12)
    return rng.choice((
        f"{hour} pm", f"{hour} am", f"{hour}:{rng.choice(('15', '30', '45', '05'))}", "noon",
        f"{hour + 11}:{rng.choice(('00', '10', '20', '50'))}", f"{hour}pm", f"half past {hour}",
    ))  # fmt: skip


def _street(rng: random.Random) -> str:
    kind = rng.choice(("Street", "Road", "Lane", "Avenue", "Square"))
    number = f"{rng.randint(1, 180)} " if rng.random() < 0.6 else ""
    return f"{number}{_new_name(rng)} {kind}"


def _firm(rng: random.Random) -> str:
    return rng.choice(FIRMS.split()) if rng.random() < 0.5 else _new_name(rng)


def _illness(rng: random.Random) -> Drawn:
    shown = rng.choice(ILLNESSES)
    return shown, shown.removeprefix("a ")


DRAWS: dict[str, Callable[[random.Random], Drawn]] = {
    "person": _same(_person),
    "city": _same(_city),
    "day": _same(_day),
    "time": _same(_time),
    "street": _same(_street),
    "firm": _same(_firm),
    "code": _same(POOLS["code"][1]),
    "mail": _same(POOLS["mail"][1]),
    "phone": _same(POOLS["phone"][1]),
    "thing": _of(THINGS),
    "task": _of(TASKS),
    "message": _of(MESSAGES),
    "topic": _of(TOPICS),
    "food": _of(FOODS),
    "place": _of(PLACES),
    "song": _of(SONGS),
    "language": _of(LANGUAGES),
    "illness": _illness,
    "job": _of(JOBS),
    "color": _of("red blue green black white grey yellow orange purple silver turquoise"),
    "few": _few,
    "many": _number(13, 4000),
    "small": _number(1, 99),
    "minutes": _number(3, 90),
    "percent": _number(1, 100),
    "year": _number(1950, 2031),
    "money": _money,
}
WHOLE = frozenset({"few", "many", "small", "minutes", "percent", "year"})
"""Pools of whole numbers; money is a number, all others are strings."""


def forms_of(file: Path) -> list[Form]:
    """Read forms, one a line; see `recipes/smollm2/own/forms.jsonl`."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        Form(
            tuple(row["names"]),
            row["description"],
            tuple(Parameter(tuple(each["names"]), each["pool"]) for each in row["parameters"]),
            tuple(row["requests"]),
        )
        for row in rows
    ]


def draw_function(rng: random.Random, form: Form) -> tuple[dict[str, Any], list[str]]:
    """Draw a function of the form, and its parameters' names in the form's order."""
    names = [rng.choice(each.names) for each in form.parameters]
    pools = [each.pool for each in form.parameters]
    properties = {name: _schema(rng, name, pool) for name, pool in zip(names, pools, strict=True)}
    order = list(names)
    if rng.random() < 0.4:
        rng.shuffle(order)
    function: dict[str, Any] = {"name": rng.choice(form.names)}
    if rng.random() < 0.85:
        function["description"] = form.description
    ordered = {name: properties[name] for name in order}
    function["parameters"] = {"type": "object", "properties": ordered}
    return function, names


def draw_request(
    rng: random.Random, form: Form, names: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """Draw a request, and the arguments of the call under these names."""
    request = rng.choice(form.requests)
    shown: list[str] = []
    arguments: dict[str, Any] = {}
    for place, (name, parameter) in enumerate(zip(names, form.parameters, strict=True)):
        text, value = _drawn(rng, parameter.pool, arguments.values())
        shown.append(text)
        if f"{{{place}}}" in request and value is not None:
            arguments[name] = value
    text = " ".join(request.format(*shown).split()).strip(" ,")
    return _as_typed(rng, text), arguments


def _drawn(rng: random.Random, pool: str, taken: object) -> Drawn:
    """A value's text and value; one that another parameter has already is drawn anew."""
    if pool.startswith("bool:"):
        return (pool.removeprefix("bool:"), True) if rng.random() < 0.6 else ("", None)
    while True:
        text, value = _of(tuple(pool.split("/")))(rng) if "/" in pool else DRAWS[pool](rng)
        if value not in list(taken):  # type: ignore[call-overload]
            return text, value


def _schema(rng: random.Random, name: str, pool: str) -> dict[str, Any]:
    if pool.startswith("bool:"):
        schema: dict[str, Any] = {"type": "boolean"}
    elif "/" in pool and rng.random() < 0.7:
        schema = {"type": "string", "enum": pool.split("/")}
    else:
        schema = {"type": "integer" if pool in WHOLE else "number" if pool == "money" else "string"}
    if rng.random() < 0.15:
        schema["description"] = name.replace("_", " ")
    return schema


def _as_typed(rng: random.Random, text: str) -> str:
    """Sometimes with a greeting, thanks, a capital or a full stop."""
    if rng.random() < 0.15:
        text = rng.choice(("hi, ", "please ", "hey, ", "ok, ", "could you: ", "one more: ")) + text
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.15:
        text += rng.choice((" please", ", thanks", " - thank you", ", quickly"))
    if rng.random() < 0.3 and text[-1].isalnum():
        text += "."
    return text
