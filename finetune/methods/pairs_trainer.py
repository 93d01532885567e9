"""TRL's DPOTrainer over token ids. Apart from `finetune.methods.dpo`, as importing TRL is slow."""

from datasets import Dataset
from trl import DPOTrainer


class PairsTrainer(DPOTrainer):  # type: ignore[misc]
    """Takes tokenized pairs: TRL would render the prompts anew, and not as serving does."""

    def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
        return dataset
