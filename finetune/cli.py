"""The `finetune` command. Knows flags and what is printed; heavy libraries are imported late."""

import sys

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
from finetune.commands.training import plan, rerun, resume, train
from playground.errors import PlaygroundError
from playground.runtime import quiet_libraries

cli = typer.Typer(
    name="finetune",
    help="Training for the Mistral playground.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@cli.callback()
def _finetune() -> None:
    """Training for the Mistral playground."""


for command in (
    check, preview, plan, train, resume, rerun, evaluate, show, promote, rollback, retire, delete,
    schema,
):  # fmt: skip
    cli.command()(command)
cli.command("list")(list_adapters)
cli.command("import")(import_adapter)


def main() -> None:
    """The entry point: what is wrong is one line. Exits with 1 for bad input, 2 for wrong usage."""
    quiet_libraries()
    try:
        cli()
    except PlaygroundError as error:
        print(f"error: {error.message}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None
