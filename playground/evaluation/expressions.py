"""Python expressions that grade an answer. They are the administrator's: from the command line or
the settings, never from the page or from somebody's request. Nothing here is a sandbox.
"""

import json
import math
import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType

TIME_LIMIT_S = 5.0


def expression_problem(text: str) -> str:
    """Why the text is no Python expression; empty if it is one."""
    try:
        _compiled(text)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return ""


def evaluate_expression(text: str, names: Mapping[str, object]) -> float:
    """Return its value as a number. ``json``, ``math`` and ``re`` are there beside ``names``.

    It is waited for `TIME_LIMIT_S` at most; its thread goes on. Raises `ValueError` for what it
    raises, and for a value that is no number.
    """
    outcome: list[object] = []

    def run() -> None:
        scope = {"json": json, "math": math, "re": re, **names}
        try:
            outcome.append(eval(_compiled(text), scope))
        except Exception as error:  # noqa: BLE001 - it is somebody's expression
            outcome.append(error)

    thread = threading.Thread(target=run, name="grader expression", daemon=True)
    thread.start()
    thread.join(TIME_LIMIT_S)
    if not outcome:
        raise ValueError(f"the expression took longer than {TIME_LIMIT_S:g} seconds")
    (value,) = outcome
    if isinstance(value, Exception):
        raise ValueError(f"the expression failed: {type(value).__name__}: {value}") from value
    if not isinstance(value, (bool, int, float)):
        raise ValueError(f"the expression gave {type(value).__name__}, which is no number")
    return float(value)


@lru_cache(maxsize=64)
def _compiled(text: str) -> CodeType:
    return compile(text.strip(), "<grader>", "eval")
