"""`finetune check` and `finetune preview`: what is in files of rows."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetune.commands.common import (
    BAD_INPUT,
    EvalFraction,
    MaxLength,
    Model,
    RecipeName,
    RowsFile,
    RowsFiles,
    home,
    tokenizer_of,
)

if TYPE_CHECKING:
    from finetune.data.report import DataReport

SHOWN_LINES = 8
BAR = 40


def check(
    files: RowsFiles,
    recipe: RecipeName = "embedded_cpu",
    model: Model = None,
    max_length: MaxLength = None,
    eval_fraction: EvalFraction = None,
    evaluation: Annotated[
        Path | None,
        typer.Option("--eval", exists=True, dir_okay=False, help="A file of held-out rows."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write NAME.fixed.jsonl beside each file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Say what is in files of rows: formats, totals, repeats, languages, lengths, every error.

    Exits with 1 if a row cannot be trained on or if nothing would be learned.
    """
    from finetune.data.repair import repair
    from finetune.data.report import report
    from finetune.recipe import read_recipe

    chosen = read_recipe(
        recipe, base_model=model, max_length=max_length, eval_fraction=eval_fraction
    )
    if fix:
        files = [_repaired(repair(file)) for file in files]
    found = report(files, tokenizer_of(chosen.base_model), chosen, evaluation, home())
    if as_json:
        print(json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=1))
    else:
        _print(found)
    if found.errors or not found.trained:
        if not found.trained:
            print("error: no token of these rows would be trained", file=sys.stderr)
        raise typer.Exit(BAD_INPUT)


def _repaired(done: object) -> Path:
    from finetune.data.repair import Repaired

    assert isinstance(done, Repaired)
    for error in done.errors:
        print(f"left out: {error}")
    for what, lines in (("mended", done.mended), ("repeated, left out", done.duplicates)):
        if lines:
            print(f"{what}: {_some(map(str, lines))}")
    print(f"{done.path}: {done.kept} rows")
    return done.path


def _some(values: object) -> str:
    found = list(values)  # type: ignore[call-overload]
    more = f" and {len(found) - SHOWN_LINES} more" if len(found) > SHOWN_LINES else ""
    return ", ".join(found[:SHOWN_LINES]) + more


def _print(found: "DataReport") -> None:
    from finetune.training.duration import duration_text

    for error in found.errors:
        print(error)
    console = Console()
    table = Table(show_header=False)
    table.add_row("format", ", ".join(f"{name} ({n})" for name, n in found.formats.items()))
    for name, value in found.totals():
        table.add_row(name, f"{value:,}")
    table.add_row("training time here, about", duration_text(found.seconds))
    table.add_row("languages", ", ".join(f"{name} {n}" for name, n in found.languages.items()))
    console.print(table)
    for name, pairs in (
        ("repeats", found.duplicates),
        ("nearly repeats", found.near_duplicates),
    ):
        if pairs:
            print(f"{name}: " + _some(f"line {line} of line {first}" for line, first in pairs))
    if found.leaks:
        print(f"prompts that are also held out: lines {_some(map(str, found.leaks))}")
    most = max((each.rows for each in found.lengths), default=0)
    for each in found.lengths:
        bar = "█" * round(BAR * each.rows / most)
        print(f"{each.low:>7,} to {each.high:>7,} tokens {each.rows:>7,} {bar}")


def preview(
    file: RowsFile,
    row: Annotated[int, typer.Option(min=1, help="Its line in the file.")] = 1,
    recipe: RecipeName = "embedded_cpu",
    model: Model = None,
    max_length: MaxLength = None,
    html: Annotated[Path | None, typer.Option(help="Write a page instead of printing.")] = None,
) -> None:
    """Show a row's tokens: those that are learned in bold green, the others dim."""
    from finetune.data.dataset import tokenize
    from finetune.data.preview import html_page, spans
    from finetune.data.rows import read_rows
    from finetune.recipe import read_recipe

    chosen = read_recipe(recipe, base_model=model, max_length=max_length)
    tokenizer = tokenizer_of(chosen.base_model)
    found = [each for each in read_rows(file).rows if each.line == row]
    if not found:
        print(f"error: line {row} of {file} holds no row that can be trained", file=sys.stderr)
        raise typer.Exit(BAD_INPUT)
    done = tokenize(found, tokenizer, chosen.max_length, file.name)
    for error in done.errors:
        print(error)
    examples = [*done.examples, *(example for pair in done.pairs for example in pair.examples())]
    if html:
        html.write_text(html_page(found[0], examples, tokenizer), encoding="utf-8")
        print(html)
        return
    for number, example in enumerate(examples, start=1):
        shown = Text(
            f"example {number}, {example.trained} of {len(example.token_ids)} tokens trained\n"
        )
        for span in spans(example, tokenizer):
            shown.append(span.text, style="bold green" if span.trained else "dim")
        Console().print(shown)
