"""Finds rows that answer the same prompt otherwise than an earlier row; no model learns both.

Of two preferences those conflict of which one chooses what the other rejects; of unpaired ones,
those that label the same answer good and bad. Knows rows; keeps hashes and no text.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finetune.data.training_row import (
    Conversation,
    Preference,
    TrainingRow,
    UnpairedPreference,
)
from playground.protocol import Message

HashArray = npt.NDArray[np.uint64]


def answer_hashes(rows: Sequence[TrainingRow]) -> HashArray:
    """Return (row's place, hash of a prompt, hash of its answer) of each trained answer:
    [answers, 3]. Equal answers differ in no more than the space around them."""
    found = [(at, *pair) for at, row in enumerate(rows) for pair in _answers_of(row)]
    return np.array(found, np.uint64).reshape(-1, 3)


def _answers_of(row: TrainingRow) -> list[tuple[int, int]]:
    if isinstance(row, Preference):
        # A prompt with two answers, in any order; which of them is chosen.
        prompt = [_described(message) for message in row.messages]
        pair = sorted([_described(row.chosen), _described(row.rejected)])
        return [(_hash([prompt, _tools(row), pair]), _hash(_described(row.chosen)))]
    if isinstance(row, UnpairedPreference):
        # A prompt with one answer; whether that is a good one.
        prompt = [_described(message) for message in row.messages]
        return [(_hash([prompt, _tools(row), _described(row.completion)]), int(row.label))]
    if not isinstance(row, Conversation):
        return []
    messages = [_described(message) for message in row.messages]
    return [(_hash([messages[:at], _tools(row)]), _hash(messages[at])) for at in row.answers]


def _described(message: Message) -> str:
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    return repr((message.role, message.content.strip(), calls))


def _tools(row: Conversation | Preference | UnpairedPreference) -> list[object]:
    return [tool.to_openai() for tool in row.tools]


def _hash(value: object) -> int:
    """Hash Python's own text of a value, which is made in two thirds of JSON's time."""
    digest = hashlib.blake2b(repr(value).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def find_conflicts(answers: HashArray) -> tuple[tuple[int, int], ...]:
    """Return each row that answers a prompt otherwise than the first row with this prompt, and that
    row, in the rows' order. ``answers`` are of all rows, as `answer_hashes` gives them."""
    _, prompts = np.unique(answers[:, 1], return_inverse=True)
    first = np.full(len(answers), len(answers), np.int64)
    np.minimum.at(first, prompts, np.arange(len(answers)))
    first_of_each = first[prompts]
    differs = np.flatnonzero(answers[:, 2] != answers[first_of_each, 2])
    pairs: dict[int, int] = {}
    for at in differs:
        row, earlier = int(answers[at, 0]), int(answers[first_of_each[at], 0])
        if row != earlier:
            pairs.setdefault(row, earlier)
    return tuple(pairs.items())
