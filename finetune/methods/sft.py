"""Supervised fine-tuning: the loss is over the answers of conversations, or over plain text."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from finetune.data.examples import MASKED, AnyExample, TrainingExample
from finetune.methods.base import Columns, TrainerParts
from finetune.recipe import Recipe

if TYPE_CHECKING:
    from transformers import Trainer


class Sft:
    """Trains on examples with TRL's SFTTrainer."""

    name = "sft"
    needed_rows = "rows with answers"
    sequences_per_row = 1
    forwards_per_row = 0
    uses_replay = True
    splits_micro_batches = True
    padding_row: Mapping[str, list[int]] = MappingProxyType(
        {"input_ids": [0, 0], "labels": [MASKED, MASKED], "seq_lengths": [2]}
    )

    def uses_packing(self, recipe: Recipe) -> bool:
        """Whether the recipe wants it."""
        return recipe.packing

    def problem(self, recipe: Recipe, labels: Collection[bool | None]) -> str | None:  # noqa: ARG002
        """Any rows of its kind will do."""
        return None

    def columns(self, recipe: Recipe, sequences: Sequence[Sequence[AnyExample]]) -> Columns:  # noqa: ARG002
        """``seq_lengths`` tells TRL's collator where a packed sequence's rows begin."""
        packed = [
            [example for example in sequence if isinstance(example, TrainingExample)]
            for sequence in sequences
        ]
        return {
            "input_ids": [[id_ for example in row for id_ in example.token_ids] for row in packed],
            "labels": [[label for example in row for label in example.labels] for row in packed],
            "seq_lengths": [[len(example.token_ids) for example in row] for row in packed],
        }

    def build_trainer(self, recipe: Recipe, parts: TrainerParts) -> "Trainer":
        """Build an SFTTrainer that prepares nothing itself."""
        from trl import SFTConfig
        from trl.trainer import utils

        from finetune.methods.trainers import ExamplesTrainer

        # Without Triton, TRL 1.16 scores the positions without a label, too, which spares Neuron a
        # compilation; on a CPU they are most of a step's time.
        utils._use_triton = lambda device: device.type in ("cpu", "cuda", "xpu")

        return ExamplesTrainer(
            model=parts.model,
            args=SFTConfig(
                **parts.arguments,
                max_length=recipe.max_length,
                packing=self.uses_packing(recipe),
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=parts.train_dataset,
            eval_dataset=parts.eval_dataset,
            processing_class=parts.processing_class,
            peft_config=parts.peft_config,
        )
