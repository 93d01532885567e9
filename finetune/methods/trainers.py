"""TRL's trainers over token ids, alone or in one of several processes.

Apart from the methods, as importing TRL is slow.
"""

import math
from collections.abc import Sequence

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput
from trl import DPOTrainer, KTOTrainer, SFTTrainer

LABELS, MASKED = "labels", -100


class _Distributed(Trainer):  # type: ignore[misc]
    """What several processes do otherwise than transformers' trainer, so that figures and
    checkpoints are those of one process."""

    _is_evaluating = False

    def _get_num_items_in_batch(
        self, batch_samples: Sequence[object], device: torch.device
    ) -> torch.Tensor | int | None:
        """Count the labels of all processes for a step; a batch that is evaluated is one's own."""
        if self._is_evaluating:
            return None
        count: torch.Tensor | int | None = super()._get_num_items_in_batch(batch_samples, device)
        return count

    def evaluation_loop(
        self,
        dataloader: DataLoader[Sequence[object]],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Divide the batches that one process would evaluate; the loss is the mean over all rows.

        transformers' own loop fills the last batches with rows that were evaluated already. A
        process that has no batch left takes the first one again, as all have to exchange metrics,
        and does not count it.
        """
        if self.args.world_size == 1:
            return super().evaluation_loop(
                dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
            )
        rows = self.num_examples(dataloader)
        self.model.eval()
        self._is_evaluating = True
        try:
            loss = self._mean_loss(dataloader)
        finally:
            self._is_evaluating = False
        return EvalLoopOutput(None, None, {f"{metric_key_prefix}_loss": loss}, rows)

    def _mean_loss(self, dataloader: DataLoader[Sequence[object]]) -> float:
        """Mean over the rows of all processes, of their batches' losses."""
        dataset, size = dataloader.dataset, self.args.eval_batch_size
        number, rows = self.args.world_size, self.num_examples(dataloader)
        total = torch.zeros(2, dtype=torch.float64, device=self.args.device)  # of losses, of rows
        for first in range(0, math.ceil(rows / size), number):
            start = (first + self.args.process_index) * size
            places = range(start, min(start + size, rows))
            batch = dataloader.collate_fn([dataset[at] for at in places or range(min(size, rows))])
            if not places and LABELS in batch:
                batch[LABELS].fill_(MASKED)
            loss, _, _ = self.prediction_step(self.model, batch, prediction_loss_only=True)
            if len(places) and bool(loss.isfinite()):
                total += torch.tensor([float(loss), 1.0], device=total.device) * len(places)
        losses, counted = self.accelerator.reduce(total, "sum").tolist()
        return losses / counted if counted else math.nan

    def _save_rng_state(self, output_dir: str) -> None:
        """Wait until all have saved theirs: the file that makes a checkpoint count comes next."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()


class _Tokenized:
    """Takes tokenized rows: TRL would render the prompts anew, and not as serving does."""

    def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
        return dataset


class ExamplesTrainer(_Distributed, SFTTrainer):  # type: ignore[misc]
    """SFT over ``input_ids``, ``labels`` and ``seq_lengths``."""


class PairsTrainer(_Tokenized, _Distributed, DPOTrainer):  # type: ignore[misc]
    """DPO over ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``."""


class UnpairedTrainer(_Tokenized, _Distributed, KTOTrainer):  # type: ignore[misc]
    """KTO over ``prompt_ids``, ``completion_ids``, ``KL_completion_ids`` and ``label``."""
