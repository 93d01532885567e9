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
    run(step, recipe, build, rows)


def _evaluate_through_engine(rows: int) -> None:
    from finetune.embedded.evaluate import evaluate
    from finetune.embedded.publish import PACKAGE_FOLDER
    from finetune.embedded.rendering import Renderer
    from finetune.through_engine import EngineAnswers
    from playground.engine import Engine
    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    with Engine(load(ModelSpec("embedded"))) as running:
        print("| family | exact | 95% interval | rows |\n|---|---|---|---|", flush=True)
        evaluate(EngineAnswers(running, Renderer(PACKAGE_FOLDER / "tekken.json")), rows)


def main() -> None:
    """The entry point."""
    cli()
