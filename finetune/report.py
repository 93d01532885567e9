"""Reports on a data set: formats, errors, totals, repeats, languages, lengths. As data.

How it is printed is the command's and the page's business.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from finetune.data.dataset import Dataset, Fitting, Split, fitting_lengths
from finetune.data.findings import Finding, RowError, grouped
from finetune.data.storage import RowSummary
from finetune.methods import method_of
from finetune.methods.base import method_problem
from finetune.methods.kto import balance_advice
from finetune.recipe import Recipe
from finetune.training.schedule import num_steps

SHOWN_BINS = 12


@dataclass(frozen=True, slots=True)
class Bin:
    """The number of rows that have ``low`` to ``high`` tokens, both included."""

    low: int
    high: int
    rows: int


class Place(NamedTuple):
    """Where a row stands; ``line`` counts from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class DataReport:
    """The result of `report`. Pairs of places are (row, the earlier row that it repeats)."""

    formats: Mapping[str, int]
    rows: int
    turns: int
    examples: int
    pairs: int
    labels: tuple[int, int]
    """Unpaired preferences: good answers, and bad ones."""
    tokens: int
    num_trained_tokens: int
    num_too_long: int
    longest: int
    num_errors: int
    errors: tuple[Finding, ...]
    """One for each kind; those of the evaluation file too."""
    notes: tuple[Finding, ...]
    """What of the rows is not used or looks wrong."""
    problems: tuple[str, ...]
    """Why no training can start, whatever the rows' errors."""
    advice: tuple[str, ...]
    """What would make the recipe fit these rows better."""
    duplicates: tuple[tuple[Place, Place], ...]
    near_duplicates: tuple[tuple[Place, Place], ...]
    conflicts: tuple[tuple[Place, Place], ...]
    """Rows that contradict an earlier one: another answer to the same prompt, or another label of
    the same answer; and the earlier rows."""
    num_held_out: int
    leaks: tuple[int, ...]
    """Lines of training rows whose prompt is also among the evaluation rows."""
    languages: Mapping[str, int]
    """Of the rows whose language was guessed: of large files a part."""
    lengths: tuple[Bin, ...]
    steps: int
    seconds: float = 0.0
    """Estimated duration of the training on this machine."""

    @property
    def num_trained(self) -> int:
        """Examples of all kinds that an epoch has."""
        return self.examples + self.pairs + sum(self.labels)

    def totals(self) -> list[tuple[str, int]]:
        """Labels and counts, for people."""
        return [
            ("rows", self.rows),
            ("turns", self.turns),
            *([("preference pairs", self.pairs)] if self.pairs else []),
            *(
                [("good answers", self.labels[0]), ("bad answers", self.labels[1])]
                if any(self.labels)
                else []
            ),
            ("training examples", self.examples),
            ("errors", self.num_errors),
            ("too long", self.num_too_long),
            ("tokens", self.tokens),
            ("trained tokens", self.num_trained_tokens),
            ("longest, tokens", self.longest),
            ("duplicates", len(self.duplicates)),
            ("near-duplicates", len(self.near_duplicates)),
            ("conflicting answers", len(self.conflicts)),
            ("evaluation rows", self.num_held_out),
            ("prompts also in evaluation", len(self.leaks)),
            ("optimizer steps", self.steps),
        ]


def report(dataset: Dataset, recipe: Recipe) -> DataReport:
    """Count what a run of this recipe would see of a data set, and estimate how long it takes;
    reads no text and no token."""
    summaries = dataset.summaries()
    errors = dataset.errors(summaries, recipe.max_length)
    counted = count_rows(dataset, summaries, errors, recipe)
    return with_seconds(counted, recipe, dataset.home)


def with_seconds(counted: DataReport, recipe: Recipe, home: Path) -> DataReport:
    """The same with the estimated duration."""
    from finetune.training.duration import estimated_seconds  # imports torch

    if not counted.num_trained:
        return counted
    each = counted.tokens / counted.num_trained
    return replace(counted, seconds=estimated_seconds(recipe, counted.steps, each, home=home))


def count_rows(
    dataset: Dataset, summaries: Sequence[RowSummary], errors: Sequence[RowError], recipe: Recipe
) -> DataReport:
    """The report without ``seconds``, for which torch is needed; ``errors`` are those of
    `Dataset.errors`."""
    fitting_of_all = [fitting_lengths(row, recipe.max_length) for row in summaries]
    split = dataset.split(summaries, recipe)
    rows = [row for row in summaries if not dataset.is_evaluation(row)]  # the others come last
    fitting = fitting_of_all[: len(rows)]
    lengths = [length for row in fitting for length, _ in row]
    pairs = sum(len(f) for row, f in zip(rows, fitting, strict=True) if row.kind == "preference")
    labels = [
        row.label for row, f in zip(rows, fitting, strict=True) if f and row.label is not None
    ]
    held_out_prompts = {summaries[place].prompt for place in split.eval}
    repeats = dataset.manifest.repeats
    if summaries or errors:
        problems = _problems(dataset, summaries, fitting_of_all, split, recipe)
    else:
        problems = ("there are no rows in these files",)
    files = [file.name for file in dataset.manifest.files]

    def placed(pairs: Sequence[tuple[int, int]]) -> tuple[tuple[Place, Place], ...]:
        places = [Place(files[row.file], row.line) for row in rows] if pairs else []
        return tuple((places[row], places[first]) for row, first in pairs)

    return DataReport(
        formats=dataset.manifest.formats,
        rows=len(rows),
        turns=sum(row.turns for row in rows),
        examples=len(lengths) - pairs - len(labels),
        pairs=pairs,
        labels=(sum(labels), len(labels) - sum(labels)),
        tokens=sum(lengths),
        num_trained_tokens=sum(trained for row in fitting for _, trained in row),
        num_too_long=sum(error.code == "too_long" for error in errors),
        longest=max(lengths, default=0),
        num_errors=len(errors),
        errors=grouped(errors),
        notes=dataset.manifest.notes,
        problems=problems,
        advice=tuple(filter(None, [balance_advice(recipe, labels)])),
        duplicates=placed(repeats.exact),
        near_duplicates=placed(repeats.near),
        conflicts=placed(dataset.manifest.conflicts),
        num_held_out=len(split.eval),
        leaks=tuple(
            summaries[place].line
            for place in split.train
            if summaries[place].prompt in held_out_prompts
        ),
        languages=dict(Counter(row.language for row in rows if row.language).most_common()),
        lengths=tuple(_histogram(lengths)),
        steps=num_steps(recipe, lengths),
    )


def _problems(
    dataset: Dataset,
    summaries: Sequence[RowSummary],
    fitting: Sequence[Fitting],
    split: Split,
    recipe: Recipe,
) -> tuple[str, ...]:
    """Find what stops a training, before any base is loaded."""
    method = method_of(recipe)
    used = [(row, f) for row, f in zip(summaries, fitting, strict=True) if f]
    wrong = method_problem(method, [row.kind for row, _ in used])
    problems = [wrong] if wrong else []
    trained = [row for row, _ in used if not dataset.is_evaluation(row)]
    if not any(any(row.num_trained) for row in trained):
        problems.append("no token of these rows would be trained")
    elif not wrong:
        labels = [summaries[place].label for place in split.train if fitting[place]]
        if problem := method.problem(recipe, labels):
            problems.append(problem)
    for file in dataset.manifest.files:
        if file.is_evaluation and len(used) == len(trained):
            problems.append(f"no row of the evaluation file {file.name} can be used")
    return tuple(problems)


def _histogram(lengths: Sequence[int]) -> list[Bin]:
    """Bins of equal width up to the longest."""
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
