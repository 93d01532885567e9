"""Rows to evaluate on: a question, the wanted answer, and its tokens for the loss.

Knows no training format; whoever has training rows makes these of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from playground.protocol import Message, Tool

SetKind = Literal["held out", "trained", "general", "no system prompt"]
"""Rows that were not trained on, rows that were, rows that say what was forgotten, and trained ones
without the system prompt that they were trained with."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """A conversation up to its last answer, and the answer that is wanted there.

    ``messages`` end before that answer. ``token_ids`` are the rendered conversation with it,
    ``labels`` the same ids where they count for the loss and `IGNORE_INDEX` elsewhere. ``line`` is
    the row's place in its file, from 1.
    """

    line: int
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    answer: Message
    token_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def question(self) -> str:
        """The last user message."""
        users = (message.content for message in reversed(self.messages) if message.role == "user")
        return next(users, "")


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Rows under one heading of a report card; one set of each kind at most. ``num_trained``: rows
    that are not among them because the adapter was trained on those."""

    name: str
    rows: Sequence[EvaluationRow]
    kind: SetKind = "held out"
    num_trained: int = 0
