"""Own rows with other values, and forms of labels and values: so that what is copied are the words
of the text, and none is known by heart. Knows no prompt and no file.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from recipes.smollm2.drawer import Row

VARIED: Final = 0.4
"""Share of values that are replaced where that can be done."""
MOST_PAIRS: Final = 7
PAIRS: Final = (
    "{label}: {value}", "{label} = {value}", "{label} - {value}", "{value} ({label})",
    "the {label} is {value}", "{label} {value}", '{label} "{value}"', "{label}\t{value}",
    "{value} as {label}", "[{label}] {value}", "{label} → {value}", "its {label}: {value}",
)  # fmt: skip
SEPARATORS: Final = ("\n", "; ", ", ", " | ", ". ", "\n- ", " / ")

Values = dict[str, list[str]]


class Variation:
    """Replaces values of rows by others of a parameter of the same name, numbers by others."""

    def __init__(self, rng: random.Random, values: Values) -> None:
        self._random = rng
        self._values = values

    def row(self, text: str, values: Row, schema: Row) -> tuple[str, Row]:
        """The text and its values with some of them replaced in both, or both as they are."""
        changed, given = text, dict(values)
        for name, value in values.items():
            other = self._other(name, value, schema.get("properties", {}).get(name, {}))
            if other is None or self._random.random() > VARIED:
                continue
            old, new = str(value), str(other)
            alone = re.compile(rf"(?<![\w.,:/-]){re.escape(old)}(?![\w:/-]|[.,]\d)")
            if len(alone.findall(changed)) != 1 or changed.count(old) != 1:
                continue
            told = alone.sub(lambda _, new=new: new, changed)  # type: ignore[misc]
            rest = [str(each) for key, each in given.items() if key != name]
            if all(each in told for each in rest if each in changed):
                changed, given[name] = told, other
        return changed, given

    def _other(self, name: str, value: Any, schema: Row) -> Any:
        """Another value of the same kind, None where nothing is known that would fit."""
        if isinstance(value, bool) or "enum" in schema:
            return None
        if isinstance(value, int):
            low = 10 ** (len(str(value)) - 1)
            return self._random.randint(max(2, low), low * 10 - 1)
        if not isinstance(value, str):
            return None
        alike = [each for each in self._values.get(name.casefold(), ()) if _alike(each, value)]
        return self._random.choice(alike) if len(alike) > 1 else None

    def form(self, labels: Sequence[str], values: Sequence[str]) -> tuple[str, Row, Row]:
        """A form of drawn labels and values, the values that are asked for, and their schema."""
        count = self._random.randint(2, MOST_PAIRS)
        names = self._random.sample(labels, count)
        given = dict(zip(names, self._random.sample(values, count), strict=True))
        pair, separator = self._random.choice(PAIRS), self._random.choice(SEPARATORS)
        text = separator.join(
            pair.format(label=re.sub(r"[_]|(?<=[a-z])(?=[A-Z])", " ", name).lower(), value=value)
            for name, value in given.items()
        )
        asked = self._random.sample(names, self._random.randint(1, min(count, 5)))
        schema: Row = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in asked},
            "required": asked,
        }
        return text, {name: given[name] for name in asked}, schema


def values_by_name(pairs: Iterable[tuple[str, Any]]) -> Values:
    """Collect what is given under each parameter's name."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for name, value in pairs:
        if isinstance(value, str):
            found[name.casefold()][value] = None
    return {name: list(values) for name, values in found.items()}


def _alike(value: str, other: str) -> bool:
    """Whether both begin with a capital, a digit or neither, and are about as long."""
    if value == other or abs(len(value.split()) - len(other.split())) > 1:
        return False
    return _kind(value[0]) == _kind(other[0])


def _kind(letter: str) -> str:
    return "digit" if letter.isdigit() else "capital" if letter.isupper() else "small"
