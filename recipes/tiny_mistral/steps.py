"""The recipe's steps by name, each over the same build folder.

Imports what a step needs only when it runs: torch takes seconds.
"""

from pathlib import Path
from typing import Literal, get_args

from recipes.tiny_mistral.config import Recipe

Step = Literal["build", "tokenizer", "pretrain", "publish", "evaluate"]
STEPS: tuple[Step, ...] = get_args(Step)


def run(step: Step, recipe: Recipe, build: Path, rows: int, curve_rows: int = 0) -> None:
    """Run one step, or all of them in order for "build". ``rows`` is per evaluated family."""
    everything = step == "build"
    build.mkdir(parents=True, exist_ok=True)
    path = build / "tekken.json"
    if step == "tokenizer" or (everything and not path.exists()):
        from recipes.tiny_mistral import tokenizer

        total = tokenizer.build(path, recipe.vocabulary, recipe.tokenizer_rows, recipe.seed)
        print(f"{path}: {total} entries")
    if step == "pretrain" or everything:
        from recipes.tiny_mistral.pretrain import pretrain

        pretrain(recipe, build, curve_rows)
    if step == "publish" or everything:
        from recipes.tiny_mistral.publish import publish

        publish(recipe, build)
    if step == "evaluate" or everything:
        from recipes.tiny_mistral.evaluate import evaluate_checkpoint

        evaluate_checkpoint(recipe, build, rows)
