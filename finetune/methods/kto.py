"""Kahneman-Tversky Optimization (arXiv:2402.01306): answers labelled good become likelier, answers
labelled bad less likely, without pairs.

The loss compares each answer's reward with an estimate of the KL divergence from the base: the mean
reward of answers to other prompts, taken from the same micro batch. So a micro batch has two rows
at least, and the rows have both labels.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from finetune.data.examples import AnyExample, UnpairedExample
from finetune.methods.base import Columns, TrainerParts
from finetune.recipe import Recipe

if TYPE_CHECKING:
    from transformers import Trainer


class Kto:
    """Trains on unpaired preferences with TRL's KTOTrainer."""

    name = "kto"
    needed_rows = "rows with a label"
    sequences_per_row = 1
    forwards_per_row = 3
    uses_replay = False
    splits_micro_batches = False
    padding_row = None

    def uses_packing(self, recipe: Recipe) -> bool:  # noqa: ARG002
        """Answers are mixed within a micro batch, so rows never share a sequence."""
        return False

    def problem(self, recipe: Recipe, labels: Collection[bool | None]) -> str | None:
        """Good and bad answers are needed, and micro batches of two rows."""
        good = sum(label is True for label in labels)
        if labels and good in (0, len(labels)):
            only = "good" if good else "bad"
            return (
                f"kto: all {len(labels):,} rows are labelled {str(bool(good)).lower()}: it learns "
                f"from good and from bad answers, and these are only {only} ones"
                + ("; train them with --set method=sft, without their label" if good else "")
            )
        if recipe.micro_batch_size < 2:
            return (
                "recipe.micro_batch_size: kto needs 2 at least, as it compares an answer with those"
                " to the other rows of its micro batch"
            )
        return None

    def columns(self, recipe: Recipe, sequences: Sequence[Sequence[AnyExample]]) -> Columns:
        """Token ids of prompts and answers, labels, and for the estimate of the KL divergence an
        answer to another row of the micro batch."""
        rows = [row for seq in sequences for row in seq if isinstance(row, UnpairedExample)]
        return {
            "prompt_ids": [list(row.prompt) for row in rows],
            "completion_ids": [list(row.completion) for row in rows],
            "KL_completion_ids": [
                list(rows[at].completion) for at in mismatched(len(rows), recipe.micro_batch_size)
            ],
            "label": [row.label for row in rows],
        }

    def build_trainer(self, recipe: Recipe, parts: TrainerParts) -> "Trainer":
        """Build a KTOTrainer over token ids."""
        from trl import KTOConfig

        from finetune.methods.trainers import UnpairedTrainer

        return UnpairedTrainer(
            model=parts.model,
            args=KTOConfig(
                **parts.arguments,
                max_length=recipe.max_length,
                beta=recipe.beta,
                desirable_weight=recipe.desirable_weight,
                undesirable_weight=recipe.undesirable_weight,
            ),
            train_dataset=parts.train_dataset,
            eval_dataset=parts.eval_dataset,
            processing_class=parts.processing_class,
            peft_config=parts.peft_config,
        )


def mismatched(num_rows: int, micro_batch_size: int) -> list[int]:
    """Return for each row, in batches of this size, whose answer its prompt is paired with.

    Answers move on by one within a batch, as TRL's trainer has it; a last row that is alone in its
    batch gets the answer of the row before it.
    """
    places: list[int] = []
    for start in range(0, num_rows, micro_batch_size):
        batch = range(start, min(start + micro_batch_size, num_rows))
        places += [max(0, start - 1)] if len(batch) == 1 else [batch[-1], *batch[:-1]]
    return places


def balance_advice(recipe: Recipe, labels: Collection[bool]) -> str | None:
    """Say which weight would balance the labels, if the recipe's do not: equation 8 of the paper
    wants desirable_weight x good rows from 1 to 4/3 times undesirable_weight x bad rows."""
    good = sum(labels)
    bad = len(labels) - good
    if not good or not bad:
        return None
    ratio = recipe.desirable_weight * good / (recipe.undesirable_weight * bad)
    if 0.99 <= ratio <= 4 / 3 + 0.01:
        return None
    name, weight = (
        ("undesirable_weight", recipe.undesirable_weight * ratio)
        if ratio > 1
        else ("desirable_weight", recipe.desirable_weight / ratio)
    )
    return (
        f"{good:,} good answers and {bad:,} bad ones weigh unevenly: --set {name}={weight:.2g} "
        "balances them (arXiv:2402.01306, equation 8)"
    )
