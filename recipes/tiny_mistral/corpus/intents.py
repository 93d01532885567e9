"""Intents: one question or remark in many phrasings, with one answer."""

from dataclasses import dataclass

LOAD = "playground --model mistral-small"


@dataclass(frozen=True, slots=True)
class Intent:
    """Training phrasings, held-out phrasings, and their one answer."""

    train: tuple[str, ...]
    held: tuple[str, ...]
    answer: str


def intent(answer: str, train: str, held: str) -> Intent:
    """Make an intent of phrasings that are written as one text, separated by slashes."""
    return Intent(tuple(train.split(" / ")), tuple(held.split(" / ")), answer)
