"""What is in files of rows: formats, errors, totals, repeats, languages, lengths. As data.

How it is printed is the command's and the page's business.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from finetune.data.dataset import Tokenized, tokenize
from finetune.data.duplicates import find_repeats
from finetune.data.rows import Conversation, Preference, Row, RowError, read_rows
from finetune.data.split import prompt_text, split, spoken_text, whole_text
from finetune.recipe import Recipe
from finetune.training.duration import estimated_seconds
from finetune.training.schedule import num_steps
from playground.models.tokenizer import ChatTokenizer

SHORTEST_KNOWN_LANGUAGE = 20
"""Characters; a guess about less says nothing."""
SHOWN_BINS = 12


@dataclass(frozen=True, slots=True)
class Bin:
    """So many rows of ``low`` to ``high`` tokens, both counted."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, slots=True)
class DataReport:
    """What `report` finds. Pairs of lines are (row, the earlier row that it repeats)."""

    formats: Mapping[str, int]
    rows: int
    turns: int
    examples: int
    pairs: int
    tokens: int
    trained: int
    too_long: int
    longest: int
    errors: tuple[RowError, ...]
    duplicates: tuple[tuple[int, int], ...]
    near_duplicates: tuple[tuple[int, int], ...]
    held_out: int
    leaks: tuple[int, ...]
    """Lines of rows to train whose prompt is also in the eval rows."""
    languages: Mapping[str, int]
    lengths: tuple[Bin, ...]
    steps: int
    seconds: float
    """An estimate of the training's duration on this machine."""

    def totals(self) -> list[tuple[str, int]]:
        """What to print: a label and a count."""
        return [
            ("rows", self.rows),
            ("turns", self.turns),
            *([("preference pairs", self.pairs)] if self.pairs else []),
            ("trained examples", self.examples),
            ("errors", len(self.errors)),
            ("of them too long", self.too_long),
            ("tokens", self.tokens),
            ("of them trained", self.trained),
            ("longest, tokens", self.longest),
            ("duplicates", len(self.duplicates)),
            ("near-duplicates", len(self.near_duplicates)),
            ("held out", self.held_out),
            ("prompts that the eval rows repeat", len(self.leaks)),
            ("optimiser steps", self.steps),
        ]


def report(
    files: Sequence[Path],
    tokenizer: ChatTokenizer,
    recipe: Recipe,
    evaluation: Path | None = None,
    home: Path | None = None,
) -> DataReport:
    """Read files and count. Raises `OSError` if one cannot be opened.

    Rows are held out by the recipe's ``held_out``, or are those of the file ``evaluation``.
    """
    rows: list[Row] = []
    errors: list[RowError] = []
    formats: Counter[str] = Counter()
    done = Tokenized()
    for file in files:
        read = read_rows(file)
        formats.update(read.formats)
        own = tokenize(read.rows, tokenizer, recipe.max_length, file.name)
        rows += read.rows
        errors += [*read.errors, *own.errors]
        done.examples += own.examples
        done.pairs += own.pairs
        done.too_long += own.too_long
    train, held = split(rows, recipe.eval_fraction, recipe.seed)
    if evaluation:
        train, held = rows, list(read_rows(evaluation).rows)
    repeats = find_repeats([whole_text(row) for row in rows])
    asked = {prompt_text(row) for row in held}
    lengths = done.lengths
    return DataReport(
        formats=dict(formats),
        rows=len(rows),
        turns=sum(_turns(row) for row in rows),
        examples=len(done.examples),
        pairs=len(done.pairs),
        tokens=sum(lengths),
        trained=done.trained,
        too_long=done.too_long,
        longest=max(lengths, default=0),
        errors=tuple(errors),
        duplicates=_lines(rows, repeats.exact),
        near_duplicates=_lines(rows, repeats.near),
        held_out=len(held),
        leaks=tuple(row.line for row in train if prompt_text(row) in asked),
        languages=_languages(rows),
        lengths=tuple(_histogram(lengths)),
        steps=num_steps(recipe, lengths),
        seconds=estimated_seconds(recipe, lengths, home=home),
    )


def _turns(row: Row) -> int:
    if isinstance(row, Conversation):
        return sum(message.role == "assistant" for message in row.messages)
    return 1 if isinstance(row, Preference) else 0


def _lines(rows: Sequence[Row], pairs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple((rows[at].line, rows[earlier].line) for at, earlier in pairs)


def _languages(rows: Sequence[Row]) -> Mapping[str, int]:
    """ISO 639-1 codes, guessed by py3langid; "?" where there is too little text."""
    import py3langid

    found: Counter[str] = Counter()
    for row in rows:
        text = spoken_text(row)
        known = len(text) >= SHORTEST_KNOWN_LANGUAGE
        found[str(py3langid.classify(text)[0]) if known else "?"] += 1
    return dict(found.most_common())


def _histogram(lengths: Sequence[int]) -> list[Bin]:
    """Equal bins up to the longest."""
    if not lengths:
        return []
    width = max(1, -(-max(lengths) // SHOWN_BINS))
    edges = range(1, max(lengths) + width + 1, width)
    counts = Counter((length - 1) // width for length in lengths)
    return [
        Bin(low, high - 1, counts[at])
        for at, (low, high) in enumerate(pairwise([*edges, edges[-1] + width]))
        if low <= max(lengths)
    ]
