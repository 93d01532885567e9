"""``python -m finetune.embedded [build|tokenizer|pretrain|evaluate|publish]``."""

import argparse
from pathlib import Path

from finetune.embedded import tokenizer
from finetune.embedded.config import Recipe

STEPS = ("build", "tokenizer", "pretrain", "evaluate", "publish")


def main() -> None:
    """Run one step of the recipe, or all of them."""
    parser = argparse.ArgumentParser(prog="finetune.embedded", description=__doc__)
    parser.add_argument("step", nargs="?", default="build", choices=STEPS)
    parser.add_argument("--build", type=Path, default=Path("build/embedded"), help="work folder")
    parser.add_argument("--steps", type=int, help="optimiser steps (every phase in proportion)")
    parser.add_argument("--rows", type=int, default=300, help="rows a family in the evaluation")
    options = parser.parse_args()
    recipe = Recipe().shortened(options.steps) if options.steps else Recipe()
    run(options.step, recipe, options.build, options.rows)


def run(step: str, recipe: Recipe, build: Path, rows: int) -> None:
    """The step, with what it needs imported only here: torch takes seconds."""
    everything = step == "build"
    path = build / "tekken.json"
    if step == "tokenizer" or (everything and not path.exists()):
        total = tokenizer.build(path, recipe.vocabulary, recipe.tokenizer_rows, recipe.seed)
        print(f"{path}: {total} entries")
    if step == "pretrain" or everything:
        from finetune.embedded.pretrain import pretrain

        pretrain(recipe, build)
    if step == "publish" or everything:
        from finetune.embedded.publish import publish

        publish(recipe, build)
    if step == "evaluate" or everything:
        from finetune.embedded.evaluate import evaluate_checkpoint

        evaluate_checkpoint(recipe, build, rows)


if __name__ == "__main__":
    main()
