"""Guesses what columns of other names are, for the advice in an error and for the page."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from finetune.data.fields import Body

SHOWN_NAMES = 8
GUESSES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("question", "query", "input", "instruction", "user", "problem"), "prompt"),
        **dict.fromkeys(("frage", "pregunta", "domanda"), "prompt"),
        **dict.fromkeys(("context", "background", "passage"), "input"),
        **dict.fromkeys(("answer", "response", "output", "assistant", "solution"), "completion"),
        **dict.fromkeys(("antwort", "réponse", "respuesta", "risposta"), "completion"),
    }
)
WITH_INPUT: Mapping[str, str] = MappingProxyType(
    {"prompt": "instruction", "completion": "output", "input": "input"}
)
"""Prompt and completion have no place for a context; Alpaca's fields have."""


def guess_columns(names: Collection[str]) -> dict[str, str]:
    """Return the fields of question, context and answer, by column; empty without both ends."""
    guesses: dict[str, str] = {}
    for name in names:
        guess = GUESSES.get(name.strip().lower())
        if guess and guess not in guesses.values():
            guesses[name] = guess
    if not {"prompt", "completion"} <= set(guesses.values()):
        return {}
    if "input" in guesses.values():
        return {name: WITH_INPUT[guess] for name, guess in guesses.items()}
    return guesses


def advice(
    record: Body,
    given: Collection[str],
    formats: Iterable[Collection[str]],
    columns: Mapping[str, str],
) -> str:
    """Say what a record lacks that is of no format, or how to map its fields.

    ``given`` are its fields as formats know them, ``formats`` the fields that each of these needs,
    and ``columns`` what is mapped already.
    """
    has = [name for name, value in record.items() if value is not None]
    if not has:
        return "has none of the known fields: it is empty"
    shown = ", ".join(has[:SHOWN_NAMES])
    names = {name.strip().lower() for name in has}
    for column, field in columns.items():
        if column not in names:
            return f"has nothing in {column!r}, which is mapped to {field}; it has {shown}"
    guesses = guess_columns(has)
    lacking = None if guesses else _one_lacking(given, formats)
    if lacking:
        other = next((name for name in has if GUESSES.get(name.strip().lower()) == lacking), None)
        hint = f"set columns to {other}={lacking}" if other else "it is missing or empty"
        return f"has {shown}, but no {lacking}: {hint}"
    named = ",".join(f"{name}={field}" for name, field in guesses.items())
    return (
        f"has none of the known fields, but {shown}; "
        f"set columns to {named or 'QUESTION=prompt,ANSWER=completion'}"
    )


def _one_lacking(given: Collection[str], formats: Iterable[Collection[str]]) -> str | None:
    """The one field that would make a record one of a format, some of which it has."""
    for fields in formats:
        lacking = [name for name in fields if name not in given]
        if len(lacking) == 1 and len(fields) > 1:
            return lacking[0]
    return None
