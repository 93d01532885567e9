"""Extraction: the fields of a schema, read from a text, as JSON in the schema's order."""

import json

from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.pools import attribute, plain_value, value
from recipes.tiny_mistral.corpus.rows import CorpusRow, dialogue
from recipes.tiny_mistral.corpus.tools import KNOWN

SUBJECTS = ("item", "order", "person", "file", "product", "case")
OPENINGS = ("This is about the {}. ", "New {}. ", "Here is the {}: ", "Notes on the {}: ")
PHRASES = (
    ("The {p} is {v}.", "Its {p} is {v}.", "{P}: {v}.", "We noted {v} as the {p}.", "{P} is {v}."),
    ("{p} {v},",),
    ("{P}: {v};",),
    ("the {p} is {v},", "with {p} {v},"),
    ("{P}: {v}\n",),
)
SYSTEMS = (
    "Extract the data as JSON with this schema: {}",
    "Answer only with JSON. Schema: {}",
    "Return JSON that matches this schema: {}",
    "Answer in JSON following the schema {}",
)
REQUESTS = (
    "Extract {} as JSON: {}",
    "Give me {} as JSON. {}",
    "From this text, extract {} as JSON: {}",
    "Return JSON with {}: {}",
)


def _fields(draw: Draw) -> dict[str, tuple[str, str]]:
    """Draw field names, each with its JSON type and kind of value."""
    fields: dict[str, tuple[str, str]] = {}
    wanted = draw.pick((1, 2, 2, 3, 3, 4))
    while len(fields) < wanted:
        if draw.chance(0.4):
            name = draw.pick(list(KNOWN))
            fields[name] = KNOWN[name][:2]
        else:
            fields[attribute(draw)] = draw.pick(
                (("string", "any"), ("integer", "num"), ("string", "person"), ("number", "decimal"))
            )
    return fields


def extraction_row(draw: Draw) -> CorpusRow:
    """Draw a text with the wanted facts in any order, at times with one that is not wanted."""
    fields = _fields(draw)
    values: dict[str, str | int | float | bool] = {
        name: value(draw, kind) for name, (_, kind) in fields.items()
    }
    stated = list(values.items())
    distractor = attribute(draw)
    if draw.chance(0.4) and distractor not in values:
        stated.append((distractor, plain_value(draw, "any")))
    draw.rng.shuffle(stated)
    text = _text(draw, stated)
    properties = {name: {"type": kind} for name, (kind, _) in fields.items()}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    answer = json.dumps(values, ensure_ascii=False)
    if draw.chance(0.7):
        system = draw.pick(SYSTEMS).format(json.dumps(schema))
        user = draw.pick(("", "", "Text: ", "Extract: ")) + text
        return dialogue("extraction", [(user, answer)], system)
    request = draw.pick(REQUESTS).format(", ".join(fields), text)
    return dialogue("extraction", [(request, answer)])


def _text(draw: Draw, stated: list[tuple[str, str | int | float | bool]]) -> str:
    phrases = draw.pick(PHRASES)
    parts = []
    for name, content in stated:
        phrase = draw.pick(phrases).replace("{p}", name).replace("{P}", name.capitalize())
        parts.append(phrase.replace("{v}", str(content)))
    text = " ".join(parts).replace("\n ", "\n").rstrip(",;\n")
    if draw.chance(0.4):
        text = draw.pick(OPENINGS).format(draw.pick(SUBJECTS)) + text
    return text
