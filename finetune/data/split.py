"""The part of a file that is held out: chosen by each row's content, not by its place.

A row goes to the same side whatever stands around it, on every machine, and rows with the same
prompt go to the same side together, so that a question is never trained and asked.
"""

import hashlib
import json
from collections.abc import Sequence

from finetune.data.rows import Preference, Row, Text


def prompt_text(row: Row) -> str:
    """What a row asks: the text that decides its side."""
    if isinstance(row, Text):
        return row.text
    asked = [each for each in row.messages if each.role in ("system", "user")]
    return json.dumps([[each.role, each.content] for each in asked], ensure_ascii=False)


def whole_text(row: Row) -> str:
    """Everything a row says, tools and answers included."""
    return json.dumps(row.as_json(), ensure_ascii=False, sort_keys=True)


def spoken_text(row: Row) -> str:
    """What people and assistant say in a row, without tools and markup."""
    if isinstance(row, Text):
        return row.text
    answers = (row.chosen, row.rejected) if isinstance(row, Preference) else ()
    return "\n".join(each.content for each in (*row.messages, *answers) if each.content)


def split(rows: Sequence[Row], eval_fraction: float, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows held out, about ``eval_fraction`` (0 to 1) of all."""
    trained: list[Row] = []
    held: list[Row] = []
    for row in rows:
        digest = hashlib.sha256(f"{seed}\n{prompt_text(row)}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        (held if share < eval_fraction else trained).append(row)
    return trained, held
