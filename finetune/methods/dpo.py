"""Direct Preference Optimization (arXiv:2305.18290): the chosen answer becomes likelier."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from finetune.data.examples import AnyExample, PreferencePair
from finetune.methods.base import Columns, TrainerParts
from finetune.recipe import Recipe

if TYPE_CHECKING:
    from transformers import Trainer


class Dpo:
    """Trains on preference pairs with TRL's DPOTrainer."""

    name = "dpo"
    needed_rows = "preferences"
    sequences_per_row = 2
    forwards_per_row = 2
    uses_replay = False
    splits_micro_batches = True
    padding_row = None

    def uses_packing(self, recipe: Recipe) -> bool:  # noqa: ARG002
        """Pairs never share a sequence."""
        return False

    def problem(self, recipe: Recipe, labels: Collection[bool | None]) -> str | None:  # noqa: ARG002
        """Any rows of its kind will do."""
        return None

    def columns(self, recipe: Recipe, sequences: Sequence[Sequence[AnyExample]]) -> Columns:  # noqa: ARG002
        """Token ids of the prompts and of both answers."""
        pairs = [pair for seq in sequences for pair in seq if isinstance(pair, PreferencePair)]
        return {
            "prompt_ids": [list(pair.prompt) for pair in pairs],
            "chosen_ids": [list(pair.chosen) for pair in pairs],
            "rejected_ids": [list(pair.rejected) for pair in pairs],
        }

    def build_trainer(self, recipe: Recipe, parts: TrainerParts) -> "Trainer":
        """Build a DPOTrainer over token ids."""
        from trl import DPOConfig

        from finetune.methods.trainers import PairsTrainer

        return PairsTrainer(
            model=parts.model,
            args=DPOConfig(**parts.arguments, max_length=None, beta=recipe.beta),
            train_dataset=parts.train_dataset,
            eval_dataset=parts.eval_dataset,
            processing_class=parts.processing_class,
            peft_config=parts.peft_config,
        )
