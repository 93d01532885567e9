"""TRL's trainers over token ids, alone or in one of several processes.

Apart from the methods, as importing TRL is slow.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.trainer_utils import EvalLoopOutput
from trl import DPOTrainer, KTOTrainer, SFTTrainer

LABELS, MASKED = "labels", -100
NUM_TOKENS = "num_tokens"
"""TRL's metric that is a sum over the run."""


class _Distributed(Trainer):  # type: ignore[misc]
    """What several processes do otherwise than transformers' trainer, so that figures and
    checkpoints are those of one process."""

    _metrics: dict[str, dict[str, list[float]]]
    _total_train_tokens: int
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

        transformers' own loop fills the last batches with rows that were evaluated already.
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
        for start in range(self.args.process_index * size, rows, number * size):
            places = range(start, min(start + size, rows))
            batch = dataloader.collate_fn([dataset[at] for at in places])
            loss, _, _ = self.prediction_step(self.model, batch, prediction_loss_only=True)
            if bool(loss.isfinite()):
                total += torch.tensor([float(loss), 1.0], device=total.device) * len(places)
        losses, counted = self.accelerator.reduce(total, "sum").tolist()
        return losses / counted if counted else math.nan

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, torch.Tensor], *values: object, **named: object
    ) -> torch.Tensor | tuple[torch.Tensor, object]:
        """Compute a micro batch's loss and metrics from its own rows, as one process would: TRL
        exchanges metrics at every micro batch, and KTO's estimate of the KL divergence with them.
        """
        if self.args.world_size == 1:
            return super().compute_loss(model, inputs, *values, **named)  # type: ignore[no-any-return]
        is_filling = LABELS in inputs and not bool((inputs[LABELS] != MASKED).any())
        figures = copy.deepcopy(self._metrics), self._total_train_tokens
        with _nothing_gathered(self.accelerator):
            loss = super().compute_loss(model, inputs, *values, **named)
        if is_filling:
            self._metrics, self._total_train_tokens = figures
        return loss  # type: ignore[no-any-return]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the means over the micro batches of all processes."""
        if self.args.world_size > 1:
            mode = "train" if self.model.training else "eval"
            figures = [(dict(self._metrics[mode]), self._total_train_tokens)]
            every = gather_object(figures)
            for name in {name for own, _ in every for name in own}:
                self._metrics[mode][name] = [x for own, _ in every for x in own.get(name, ())]
            if NUM_TOKENS in self._metrics[mode]:
                self._metrics[mode][NUM_TOKENS] = [sum(tokens for _, tokens in every)]
        super().log(logs, start_time)

    def _save_rng_state(self, output_dir: str) -> None:
        """Wait until all have saved theirs: the file that makes a checkpoint count comes next."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()


@contextmanager
def _nothing_gathered(accelerator: Accelerator) -> Iterator[None]:
    """Have each process compute its figures alone."""
    accelerator.gather = accelerator.gather_for_metrics = lambda tensor: tensor
    try:
        yield
    finally:
        del accelerator.gather, accelerator.gather_for_metrics


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
