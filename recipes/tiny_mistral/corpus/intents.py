"""One thing people say, in many ways, with one answer."""

from dataclasses import dataclass

LOAD = "playground --model mistral-small"


@dataclass(frozen=True, slots=True)
class Intent:
    """Ways to say one thing, those kept for evaluation, and the one answer."""

    train: tuple[str, ...]
    held: tuple[str, ...]
    answer: str


def intent(answer: str, train: str, held: str) -> Intent:
    """Write the ways to say it as one text, with slashes between."""
    return Intent(tuple(train.split(" / ")), tuple(held.split(" / ")), answer)
