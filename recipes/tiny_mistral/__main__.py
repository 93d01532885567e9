"""``python -m recipes.tiny_mistral``: run the recipe, or one step of it, over a build folder."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from playground.models.catalogue import EMBEDDED_FOLDER
from playground.runtime import quiet_libraries
from recipes.tiny_mistral import tokenizer
from recipes.tiny_mistral.checkpoint import TOKENIZER_FILE
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.engine_evaluation import evaluate_through_engine
from recipes.tiny_mistral.evaluation import evaluate_checkpoint
from recipes.tiny_mistral.pretrain import pretrain
from recipes.tiny_mistral.publish import publish

RecipeStep = Literal["build", "tokenizer", "pretrain", "publish", "evaluate"]


def main(
    step: Annotated[
        RecipeStep, typer.Argument(help="A step of the recipe; build runs all of them.")
    ] = "build",
    build: Annotated[Path, typer.Option(help="Build folder.")] = Path("build/embedded"),
    folder: Annotated[Path, typer.Option(help="Folder to publish to.")] = EMBEDDED_FOLDER,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps; every phase is scaled to them.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Evaluation rows per task family.")] = 300,
    curve: Annotated[
        int,
        typer.Option(min=0, help="Rows per family evaluated at each tenth of pre-training."),
    ] = 0,
    engine: Annotated[
        bool,
        typer.Option(
            "--engine", help="Only evaluate the published model, through the engine with grammars."
        ),
    ] = False,
) -> None:
    """Make the model that ships with the playground: tokenizer, pretrain, publish, evaluate.

    An interrupted run continues from its last checkpoint.
    """
    if engine:
        evaluate_through_engine(folder, rows)
        return
    recipe = PretrainingRecipe()
    if steps:
        recipe = recipe.scaled_to(steps)
    run_step(step, recipe, build, folder, rows=rows, curve_rows=curve)


def run_step(
    step: RecipeStep,
    recipe: PretrainingRecipe,
    build: Path,
    folder: Path,
    *,
    rows: int,
    curve_rows: int = 0,
) -> None:
    """Run one step, or for "build" all of them in order, keeping a tokenizer that exists."""
    run_all = step == "build"
    path = build / TOKENIZER_FILE
    if step == "tokenizer" or (run_all and not path.exists()):
        total = tokenizer.build(path, recipe.vocab_size, recipe.tokenizer_rows, recipe.seed)
        print(f"{path}: {total} entries")
    if step == "pretrain" or run_all:
        pretrain(recipe, build, curve_rows)
    if step == "publish" or run_all:
        publish(recipe, build, folder)
    if step == "evaluate" or run_all:
        evaluate_checkpoint(recipe, build, rows)


if __name__ == "__main__":
    quiet_libraries()
    typer.run(main)
