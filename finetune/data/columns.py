"""Guesses what columns of other names are, for the advice in an error and for the page."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from finetune.data.fields import Body

SHOWN_NAMES = 8
ENDS = frozenset({"prompt", "completion", "instruction", "output"})
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


def advice(record: Body) -> str:
    """Say which fields a record has that is of no format, and how to map them."""
    has = [name for name, value in record.items() if value is not None]
    if not has:
        return "has none of the known fields: it is empty"
    empty = {name.strip().lower() for name, value in record.items() if value is None} & ENDS
    if empty and {name.strip().lower() for name in has} & ENDS:
        return f"{', '.join(sorted(empty))} is empty"
    guesses = guess_columns(has)
    columns = ",".join(f"{name}={field}" for name, field in guesses.items())
    return (
        f"has none of the known fields, but {', '.join(has[:SHOWN_NAMES])}; "
        f"name them with --columns {columns or 'QUESTION=prompt,ANSWER=completion'}"
    )
