"""The `finetune` command. Knows flags and what is printed; heavy libraries are imported late."""

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
from finetune.commands.training import plan, rerun, resume, train
from playground.errors import PlaygroundError
from playground.runtime import quiet_libraries
from recipes.tiny_mistral.config import Recipe
from recipes.tiny_mistral.steps import Step, run

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
    curve: Annotated[
        int, typer.Option(min=0, help="Rows a family answered at each tenth of the pre-training.")
    ] = 0,
    engine: Annotated[
        bool,
        typer.Option(
            "--engine", help="Evaluate what is published, through the engine with its grammars."
        ),
    ] = False,
) -> None:
    """Make the model that ships with the playground: tokenizer, pretrain, publish, evaluate.

    An interrupted run goes on from its last checkpoint.
    """
    if engine:
        _evaluate_through_engine(rows)
        return
    recipe = Recipe().shortened(steps) if steps else Recipe()
    run(step, recipe, build, rows, curve)


def _evaluate_through_engine(rows: int) -> None:
    from playground.engine import Engine
    from playground.models.loader import load
    from playground.models.spec import ModelSpec
    from recipes.tiny_mistral.evaluate import evaluate
    from recipes.tiny_mistral.publish import PACKAGE_FOLDER
    from recipes.tiny_mistral.rendering import Renderer
    from recipes.tiny_mistral.through_engine import EngineAnswers

    with Engine(load(ModelSpec("embedded"))) as running:
        print("| family | exact | 95% interval | rows |\n|---|---|---|---|", flush=True)
        evaluate(EngineAnswers(running, Renderer(PACKAGE_FOLDER / "tekken.json")), rows)


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
