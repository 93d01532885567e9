"""The `finetune` command. Its commands import heavy libraries when they run, for a quick --help."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from finetune.commands.adapters import (
    delete,
    evaluate,
    import_adapter,
    list_adapters,
    promote,
    retire,
    rollback,
    schema,
    show,
)
from finetune.commands.common import BAD_INPUT
from finetune.commands.data import check, preview
from finetune.commands.export import export
from finetune.commands.training import plan, rerun, resume, train
from finetune.training.processes import launch_of
from playground.errors import PlaygroundError
from playground.runtime import delay_collection, quiet_libraries

cli = typer.Typer(
    name="finetune",
    help="Training for the Mistral playground.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@cli.callback()
def _finetune(
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets, runs and adapters, instead of PLAYGROUND_HOME."),
    ] = None,
) -> None:
    """Training for the Mistral playground."""
    if home is not None:
        os.environ["PLAYGROUND_HOME"] = str(home)  # of the processes that are started, too


for command in (
    check, preview, plan, train, resume, rerun, evaluate, show, promote, rollback, retire, delete,
    export, schema,
):  # fmt: skip
    cli.command()(command)
cli.command("list")(list_adapters)
cli.command("import")(import_adapter)


def main() -> None:
    """Run the command. Errors are one line; bad input exits with 1, wrong usage with 2."""
    quiet_libraries()
    delay_collection()
    try:
        cli()
    except PlaygroundError as error:
        print(f"error: {_label()}{error.message}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None


def _label() -> str:
    """Which of several processes says it; the first one speaks for all."""
    try:
        launch = launch_of(os.environ)
    except PlaygroundError:
        return ""
    return launch.label if launch.rank else ""
