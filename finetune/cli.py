"""The `finetune` command. Knows flags and what is printed."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.embedded.config import Recipe
from finetune.embedded.steps import Step, run

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


@cli.command()
def embedded(
    step: Annotated[Step, typer.Argument(help="One step of the recipe, or all of them.")] = "build",
    build: Annotated[Path, typer.Option(help="Work folder.")] = Path("build/embedded"),
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps; every phase in proportion.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows a family in the evaluation.")] = 300,
) -> None:
    """Make the model that ships with the playground: tokenizer, pretrain, publish, evaluate.

    An interrupted run goes on from its last checkpoint.
    """
    recipe = Recipe().shortened(steps) if steps else Recipe()
    run(step, recipe, build, rows)


def main() -> None:
    """The entry point."""
    cli()
