"""`playground sweep`: prompts × models × settings over rows, with the model in this process."""

import asyncio
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from playground.commands.options import with_settings
from playground.errors import InvalidSettings
from playground.files import write_atomic
from playground.runtime import freeze_heap, quiet_libraries
from playground.settings import Flags, load_settings

if TYPE_CHECKING:
    from playground.lab.sweeps.definition import Sweep
    from playground.lab.sweeps.result import SweepResult
    from playground.protocol import Backend
    from playground.protocol.json_types import Json

INTERRUPTED = 130
"""The exit status of a command that Ctrl+C ended."""


@with_settings("", "model", "engine", "adapters", "sweeps", "backends", "usage")
def sweep(
    flags: Flags,
    file: Annotated[
        Path,
        typer.Argument(
            help="A sweep, an eval of OpenAI's, or promptfoo's configuration, in YAML or JSON."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="The result's file; FILE.result.json by default.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="Rows in place of the file's own: JSONL, JSON, CSV, TSV.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--on", help="Ask this model in place of the file's own.")
    ] = None,
) -> None:
    """Run a sweep, and write its result. Started again after a kill, it goes on."""
    settings = load_settings(flags)
    from playground import app
    from playground.lab.sweeps.files import SweepFiles, parse_object
    from playground.lab.sweeps.importing import sweep_of
    from playground.lab.sweeps.reading import Sources
    from playground.lab.sweeps.result import to_text
    from playground.lab.sweeps.rows import rows_of_file
    from playground.lab.sweeps.sweeps import named_expressions

    quiet_libraries()
    files = SweepFiles(file.absolute().parent)
    target = output or file.with_suffix(".result.json")
    body: dict[str, Json] = dict(parse_object(files.text(file.name, "file"), file.name))
    if rows is not None:
        located = rows_of_file(rows)
        body |= {"rows": [row for _, row in located], "lines": [line for line, _ in located]}
    if models:
        body["models"] = list(models)
    sources = Sources(
        read_rows=files.rows,
        python=True,
        expressions=named_expressions(settings.sweeps.expressions),
    )
    unnamed = not _names_models(body)
    if unnamed:
        body["models"] = [app.expected_model(settings).name]
    asked = sweep_of(body, sources, files)  # what is wrong is said before a model is loaded
    with (
        app.start_backend(settings) as resident,
        app.beside_remotes(settings, resident, "sweep") as backend,
    ):
        freeze_heap()
        if unnamed:
            asked = replace(asked, models=(resident.default_model.name,))
        answers = target.with_name(f".{target.name}.answers.jsonl")
        result = _run(backend, asked, answers)
    try:
        write_atomic(target, to_text(result.as_json()))
    except OSError as error:
        raise InvalidSettings(f"{target}: {error.strerror}") from error
    answers.unlink(missing_ok=True)
    _print(result, target)


def _names_models(body: "Mapping[str, Json]") -> bool:
    return any(body.get(key) for key in ("models", "providers", "targets", "run", "data_source"))


def _run(backend: "Backend", asked: "Sweep", answers: Path) -> "SweepResult":
    """Ask with a bar; the first Ctrl+C keeps what is answered, and ends."""
    from playground.lab.sweeps.run import SweepStopped, run_sweep

    stop_event = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop_event.set())
    console = Console(stderr=True)
    for note in asked.notes:
        console.print(f"note: {note}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=None)
            return asyncio.run(
                run_sweep(
                    backend, asked, answers, stop_event,
                    lambda done, total: progress.update(task, completed=done, total=total),
                )
            )  # fmt: skip
    except SweepStopped:
        console.print(f"stopped; the same command goes on ({answers})", markup=False)
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _print(result: "SweepResult", target: Path) -> None:
    from rich.table import Table

    table = Table("cell", "score", "95%", "passed", "tokens", "ms", "USD", "errors")
    cells = [result.cell_json(cell) for cell in result.sweep.cells]
    for cell in sorted(cells, key=lambda cell: -_mean(cell)):
        score = cell["score"]
        assert isinstance(score, dict)
        table.add_row(
            str(cell["label"]),
            f"{_mean(cell):.3f}",
            f"{score['low']:.3f} to {score['high']:.3f}" if score["low"] is not None else "",
            f"{cell['passed']}/{cell['answers']}",
            f"{cell['completion_tokens']}",
            f"{cell['ms_median'] or 0:.0f}",
            f"{cell['cost_usd']:.6f}",
            f"{cell['errors'] or ''}",
        )
    console = Console()
    console.print(table)
    console.print(str(target), markup=False)


def _mean(cell: "dict[str, Json]") -> float:
    score = cell["score"]
    mean = score.get("mean") if isinstance(score, dict) else None
    return float(mean) if isinstance(mean, (int, float)) else 0.0
