"""A file of rows made ready for training: read, split, tokenized, with every error kept.

Nothing is dropped on the way: records = rows trained + rows held out + rows named in an error.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune.data.examples import (
    InvalidRow,
    PreferencePair,
    TrainingExample,
    text_to_examples,
    to_examples,
    to_preference_pair,
)
from finetune.data.rows import Conversation, Preference, Row, RowError, read_rows
from finetune.data.split import split
from playground.models.tokenizer import ChatTokenizer


@dataclass(slots=True)
class Tokenized:
    """Rows with what is learned of them. ``rows`` are those that gave an example or a pair."""

    rows: list[Row] = field(default_factory=list)
    examples: list[TrainingExample] = field(default_factory=list)
    pairs: list[PreferencePair] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    too_long: int = 0

    @property
    def lengths(self) -> list[int]:
        """Tokens of each example, or of each pair's longer side."""
        pairs = [len(p.prompt) + max(len(p.chosen), len(p.rejected)) for p in self.pairs]
        return [len(example.token_ids) for example in self.examples] + pairs

    @property
    def trained(self) -> int:
        """Tokens that are learned."""
        return sum(example.trained for example in self.examples) + sum(
            pair.trained for pair in self.pairs
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """A run's data: what is trained, what is held out, what is wrong."""

    train: Tokenized
    held: Tokenized
    errors: tuple[RowError, ...]
    sha256: str


def tokenize(
    rows: Sequence[Row], tokenizer: ChatTokenizer, max_length: int, file: str = ""
) -> Tokenized:
    """The examples of conversations and texts, and the pairs of preferences."""
    done = Tokenized()
    for row in rows:
        before = len(done.examples) + len(done.pairs)
        if isinstance(row, Preference):
            try:
                done.pairs.append(to_preference_pair(row, tokenizer, max_length, file))
            except InvalidRow as error:
                done.errors.append(error.error)
        elif isinstance(row, Conversation):
            examples, errors = to_examples(row, tokenizer, max_length, file)
            done.examples += examples
            done.errors += errors
        else:
            done.examples += text_to_examples(row, tokenizer, max_length)
        if len(done.examples) + len(done.pairs) > before:
            done.rows.append(row)
    done.too_long = sum("at most are trained" in error.problem for error in done.errors)
    return done


def read_dataset(
    files: Sequence[Path],
    tokenizer: ChatTokenizer,
    max_length: int,
    eval_fraction: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Read and tokenize files; ``eval_fraction`` (0 to 1) of their rows by hash. Raises `OSError`."""
    train, held = Tokenized(), Tokenized()
    errors: list[RowError] = []
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
        read = read_rows(file)
        errors += read.errors
        for side, rows in zip((train, held), split(read.rows, eval_fraction, seed), strict=True):
            _extend(side, tokenize(rows, tokenizer, max_length, file.name))
    return Dataset(train, held, (*errors, *train.errors, *held.errors), digest.hexdigest())


def _extend(side: Tokenized, more: Tokenized) -> None:
    side.rows += more.rows
    side.examples += more.examples
    side.pairs += more.pairs
    side.errors += more.errors
    side.too_long += more.too_long
