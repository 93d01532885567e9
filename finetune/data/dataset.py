"""A file of rows made ready for training: read, split, tokenized, with every fault kept.

Nothing is dropped on the way: records = rows trained + rows held out + rows named in a fault.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune.data.examples import InvalidRow, Pair, View, pair_of, text_views, views_of
from finetune.data.rows import Conversation, Fault, Preference, Row, read_rows
from finetune.data.split import split
from playground.models.tokenizer import ChatTokenizer


@dataclass(slots=True)
class Tokenized:
    """Rows with what is learned of them. ``rows`` are those that gave a view or a pair."""

    rows: list[Row] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    too_long: int = 0

    @property
    def lengths(self) -> list[int]:
        """Tokens of each view, or of each pair's longer side."""
        pairs = [len(p.prompt) + max(len(p.chosen), len(p.rejected)) for p in self.pairs]
        return [len(view.token_ids) for view in self.views] + pairs

    @property
    def trained(self) -> int:
        """Tokens that are learned."""
        return sum(view.trained for view in self.views) + sum(pair.trained for pair in self.pairs)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A run's data: what is trained, what is held out, what is wrong."""

    train: Tokenized
    held: Tokenized
    faults: tuple[Fault, ...]
    sha256: str


def tokenize(
    rows: Sequence[Row], tokenizer: ChatTokenizer, longest: int, file: str = ""
) -> Tokenized:
    """The views of conversations and texts, and the pairs of preferences."""
    done = Tokenized()
    for row in rows:
        before = len(done.views) + len(done.pairs)
        if isinstance(row, Preference):
            try:
                done.pairs.append(pair_of(row, tokenizer, longest, file))
            except InvalidRow as error:
                done.faults.append(error.fault)
        elif isinstance(row, Conversation):
            views, faults = views_of(row, tokenizer, longest, file)
            done.views += views
            done.faults += faults
        else:
            done.views += text_views(row, tokenizer, longest)
        if len(done.views) + len(done.pairs) > before:
            done.rows.append(row)
    done.too_long = sum("at most are trained" in fault.problem for fault in done.faults)
    return done


def read_dataset(
    files: Sequence[Path],
    tokenizer: ChatTokenizer,
    longest: int,
    held_out: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Read and tokenize files; ``held_out`` (0 to 1) of their rows by hash. Raises `OSError`."""
    train, held = Tokenized(), Tokenized()
    faults: list[Fault] = []
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
        read = read_rows(file)
        faults += read.faults
        for side, rows in zip((train, held), split(read.rows, held_out, seed), strict=True):
            _extend(side, tokenize(rows, tokenizer, longest, file.name))
    return Dataset(train, held, (*faults, *train.faults, *held.faults), digest.hexdigest())


def _extend(side: Tokenized, more: Tokenized) -> None:
    side.rows += more.rows
    side.views += more.views
    side.pairs += more.pairs
    side.faults += more.faults
    side.too_long += more.too_long
