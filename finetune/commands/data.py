"""`finetune check` and `finetune preview`: reports on files of rows."""

import dataclasses
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.commands.common import (
    BAD_INPUT,
    Columns,
    EvalFraction,
    EvaluationFile,
    MaxLength,
    Model,
    RecipeName,
    RowsFile,
    RowsFiles,
    Set,
    home,
    recipe_changes,
    recipe_of,
    show_progress,
    tokenizer_of,
)

if TYPE_CHECKING:
    from finetune.data.repair import FixedFile
    from finetune.report import DataReport, Place

SHOWN_LINES = 8
BAR = 40


def check(
    files: RowsFiles,
    recipe: RecipeName = None,
    model: Model = None,
    max_length: MaxLength = None,
    eval_fraction: EvalFraction = None,
    evaluation: EvaluationFile = None,
    changes: Set = None,
    columns: Columns = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write a fixed copy, NAME.fixed.jsonl, beside each file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check files of rows: formats, totals, repeats, languages, lengths, and every kind of error.

    The rows are kept tokenized, so that training does not read them again. Exits with 1 if a row
    cannot be trained on or if no training could start.
    """
    from finetune.data.dataset import PrepareHooks, prepare
    from finetune.data.formats import read_columns
    from finetune.data.repair import fix as fix_file
    from finetune.report import report

    chosen = recipe_of(
        recipe,
        recipe_changes(
            changes, base_model=model, max_length=max_length, eval_fraction=eval_fraction
        ),
    )
    mapping = read_columns(columns)
    if fix:
        files = [_print_fixed(fix_file(file, mapping)) for file in files]
    tokenizer = tokenizer_of(chosen.base_model)
    result = report(
        prepare(files, tokenizer, home(), evaluation, mapping, PrepareHooks(show_progress)), chosen
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(result), ensure_ascii=False, indent=1))
    else:
        print_findings(result, sys.stdout)
        _print_report(result)
    if result.errors or result.problems:
        raise typer.Exit(BAD_INPUT)


def print_findings(report: "DataReport", stream: TextIO) -> None:
    """Print each kind of error and note in a line, and what stops a training."""
    for finding in report.errors:
        print(finding, file=stream)
    for finding in report.notes:
        print(f"note: {finding}", file=stream)
    for advice in report.advice:
        print(f"note: {advice}", file=stream)
    for problem in report.problems:
        print(f"error: {problem}", file=sys.stderr)


def _print_fixed(fixed: "FixedFile") -> Path:
    from finetune.data.findings import grouped

    for finding in grouped(fixed.errors):
        print(f"left out: {finding}")
    for label, lines in (("fixed", fixed.fixed), ("repeated, left out", fixed.duplicates)):
        if lines:
            print(f"{label}: {_some(map(str, lines))}")
    print(f"{fixed.path}: {fixed.kept} rows")
    return fixed.path


def _some(values: Iterable[str]) -> str:
    texts = list(values)
    more = f" and {len(texts) - SHOWN_LINES} more" if len(texts) > SHOWN_LINES else ""
    return ", ".join(texts[:SHOWN_LINES]) + more


def _print_report(report: "DataReport") -> None:
    from finetune.training.duration import duration_text

    table = Table(show_header=False)
    table.add_row("format", ", ".join(f"{name} ({n})" for name, n in report.formats.items()))
    for name, value in report.totals():
        table.add_row(name, f"{value:,}")
    table.add_row("training time here, about", duration_text(report.seconds))
    table.add_row("languages", ", ".join(f"{name} {n}" for name, n in report.languages.items()))
    Console().print(table)
    for one, several, pairs in (
        ("repeats", "repeat", report.duplicates),
        ("nearly repeats", "nearly repeat", report.near_duplicates),
        ("contradicts", "contradict", report.conflicts),
    ):
        _print_pairs(one, several, pairs)
    if report.leaks:
        print(f"prompts that are also held out: lines {_some(map(str, report.leaks))}")
    most = max((bin_.rows for bin_ in report.lengths), default=0)
    for bin_ in report.lengths:
        bar = "█" * round(BAR * bin_.rows / most)
        print(f"{bin_.low:>7,} to {bin_.high:>7,} tokens {bin_.rows:>7,} {bar}")


def _print_pairs(one: str, several: str, pairs: Sequence[tuple["Place", "Place"]]) -> None:
    """Print which rows repeat each earlier one, with the files of those in another file."""
    later: defaultdict[Place, list[Place]] = defaultdict(list)
    for place, first in pairs:
        later[first].append(place)
    for first, places in list(later.items())[:SHOWN_LINES]:
        if {place.file for place in places} == {first.file}:
            lines = f"line{'s' if len(places) > 1 else ''} {_some(str(p.line) for p in places)}"
            earlier = f"line {first.line}"
        else:
            lines = _some(f"{place.file}:{place.line}" for place in places)
            earlier = f"{first.file}:{first.line}"
        print(f"{lines} {several if len(places) > 1 else one} {earlier}")
    if len(later) > SHOWN_LINES:
        print(f"{len(pairs)} rows in all {several} an earlier one")


def preview(
    file: RowsFile,
    row: Annotated[
        int | None,
        typer.Option(min=1, help="The row's line in the file; by default the first row."),
    ] = None,
    recipe: RecipeName = None,
    model: Model = None,
    max_length: MaxLength = None,
    columns: Columns = None,
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page instead of printing.")
    ] = None,
) -> None:
    """Show a row's tokens: those that are trained on in bold green, the others dim."""
    from finetune.data.formats import read_columns
    from finetune.data.preview import preview_of, preview_row, spans
    from finetune.data.preview_html import html_page

    chosen = recipe_of(recipe, {"base_model": model, "max_length": max_length})
    tokenizer = tokenizer_of(chosen.base_model)
    examples = preview_row(file, row, tokenizer, chosen.max_length, read_columns(columns))
    if html:
        html.write_text(
            html_page(row or 1, [preview_of(example, tokenizer) for example in examples]),
            encoding="utf-8",
        )
        print(html)
        return
    for number, example in enumerate(examples, start=1):
        total, trained = len(example.token_ids), example.num_trained_tokens
        shown = Text(f"example {number}, {trained} of {total} tokens trained\n")
        for span in spans(example, tokenizer):
            shown.append(span.text, style="bold green" if span.is_trained else "dim")
        Console().print(shown)
