"""The rows that are held out: chosen by each row's content, not by its place.

A row goes to the same side whatever stands around it, on every machine, and rows with the same
prompt go to the same side together, so that no question is both trained and asked.
"""

import hashlib
import json

from finetune.data.training_row import PlainText, Preference, TrainingRow, UnpairedPreference
from playground.protocol import Message

_AS_TEXT = json.JSONEncoder(ensure_ascii=False)
_AS_SORTED_TEXT = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


def prompt_text(row: TrainingRow) -> str:
    """Return the prompt of a row: the text that decides its side."""
    if isinstance(row, PlainText):
        return row.text
    prompt = [message for message in row.messages if message.role in ("system", "user")]
    return _AS_TEXT.encode([[message.role, message.content] for message in prompt])


def whole_text(row: TrainingRow) -> str:
    """Return everything a row says, tools and answers included."""
    return _AS_SORTED_TEXT.encode(row.as_json())


def spoken_text(row: TrainingRow) -> str:
    """Return what people and assistant say in a row, without tools and markup."""
    if isinstance(row, PlainText):
        return row.text
    answers: tuple[Message, ...] = (row.chosen, row.rejected) if isinstance(row, Preference) else ()
    if isinstance(row, UnpairedPreference):
        answers = (row.completion,)
    return "\n".join(message.content for message in (*row.messages, *answers) if message.content)


def prompt_key(prompt: str) -> str:
    """Return a short hash of a prompt, by which an adapter knows what it was trained on."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def is_held_out(prompt: str, eval_fraction: float, seed: int = 0) -> bool:
    """Whether rows of this prompt are held out; true for about ``eval_fraction`` of all prompts."""
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < eval_fraction
