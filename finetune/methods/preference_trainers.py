"""TRL's preference trainers over token ids. Apart from the methods, as importing TRL is slow."""

from datasets import Dataset
from trl import DPOTrainer, KTOTrainer


class _Tokenized:
    """Takes tokenized rows: TRL would render the prompts anew, and not as serving does."""

    def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
        return dataset


class PairsTrainer(_Tokenized, DPOTrainer):  # type: ignore[misc]
    """DPO over ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``."""


class UnpairedTrainer(_Tokenized, KTOTrainer):  # type: ignore[misc]
    """KTO over ``prompt_ids``, ``completion_ids``, ``KL_completion_ids`` and ``label``."""
