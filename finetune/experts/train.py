"""Training: TRL's SFTTrainer on the shared loader, views in, an adapter folder out.

Knows recipes and views; knows no file format and no page. Heavy libraries are imported when it
runs.
"""

import hashlib
import json
import math
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from finetune.experts.card import write_card
from finetune.experts.recipe import Recipe, recipe_yaml
from finetune.experts.views import View
from playground.errors import InvalidSettings
from playground.models.loaded import LoadedModel

BATCHES_A_WINDOW = 8
Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run: where the adapter is, and what it took."""

    folder: Path
    steps: int
    loss: float
    seconds: float


class _Reports(TrainerCallback):  # type: ignore[misc]
    """Hands what the trainer logs to a function, and to ``metrics.jsonl``."""

    def __init__(self, path: Path, epochs: float, report: Report | None) -> None:
        self._path = path
        self._epochs = epochs
        self._report = report

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One line a log."""
        values = {"step": float(state.global_step)} | (logs or {})
        if "epoch" in values:  # the trainer sees all of them as one
            values["epoch"] *= self._epochs
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        if self._report:
            self._report(values)


def train(
    recipe: Recipe,
    loaded: LoadedModel,
    views: Sequence[View],
    replay: Sequence[View],
    folder: Path,
    report: Report | None = None,
) -> Trained:
    """Train an adapter and write it to ``folder``, which is whole or absent.

    Raises `InvalidSettings` if nothing would be learned, or if ``folder`` is there already.
    """
    if folder.exists():
        raise InvalidSettings(f"{folder} is there already; choose another name or remove it")
    if not any(view.trained for view in views):
        raise InvalidSettings("no token of these rows would be trained")
    order = in_order(recipe, views, replay)
    run = folder.with_name(f".{folder.name}.run")
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(recipe_yaml(recipe), encoding="utf-8")
    began = time.monotonic()
    with _all_cores():
        trainer = _trainer(recipe, loaded, order, run)
        trainer.add_callback(_Reports(run / "metrics.jsonl", recipe.epochs, report))
        result = trainer.train()
    trainer.model.save_pretrained(str(run), safe_serialization=True)
    (run / "README.md").unlink(missing_ok=True)  # PEFT's empty form of a model card
    seconds = time.monotonic() - began
    metrics = {"steps": result.global_step, "loss": result.training_loss, "seconds": seconds}
    write_card(
        run,
        name=folder.name,
        loaded=loaded,
        recipe=asdict(recipe),
        data={
            "rows": len(views),
            "sha256": _hash(views),
            "replay": recipe.replay if replay else 0.0,
        },
        metrics=metrics,
    )
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    run.replace(folder)
    return Trained(folder, result.global_step, result.training_loss, seconds)


@contextmanager
def _all_cores() -> Iterator[None]:
    """A step over many rows, unlike decoding, is faster on all cores that the process may use."""
    before = torch.get_num_threads()
    affinity = getattr(os, "sched_getaffinity", None)
    torch.set_num_threads(len(affinity(0)) if affinity else os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_order(recipe: Recipe, views: Sequence[View], replay: Sequence[View]) -> list[View]:
    """All rows of the run in their order: in each epoch the views and so many of the replay's that
    they are the recipe's share of all, other ones in every epoch. Without packing, rows of one
    batch are of about one length.
    """
    rng = random.Random(recipe.seed)
    share = recipe.replay if replay else 0.0
    wanted = round(len(views) * share / (1 - share))
    pool: list[View] = []
    order: list[View] = []
    for _ in range(math.ceil(recipe.epochs)):
        while len(pool) < wanted:
            pool += rng.sample(replay, len(replay))
        epoch, pool = [*views, *pool[:wanted]], pool[wanted:]
        rng.shuffle(epoch)
        order += epoch if recipe.packing else _by_length(epoch, recipe.batch, rng)
    return order[: round(len(order) * recipe.epochs / math.ceil(recipe.epochs))]


def _by_length(views: list[View], batch: int, rng: random.Random) -> list[View]:
    """Sorted within windows of some batches, the batches then in any order."""
    batches: list[list[View]] = []
    for start in range(0, len(views), batch * BATCHES_A_WINDOW):
        window = sorted(views[start : start + batch * BATCHES_A_WINDOW], key=_length)
        batches += [window[at : at + batch] for at in range(0, len(window), batch)]
    last = batches.pop() if len(batches[-1]) < batch else []  # a batch not full stays at the end
    rng.shuffle(batches)
    return [view for each in [*batches, last] for view in each]


def _length(view: View) -> int:
    return len(view.token_ids)


def _hash(views: Sequence[View]) -> str:
    digest = hashlib.sha256()
    for view in views:
        digest.update(repr((view.token_ids, view.labels)).encode())
    return digest.hexdigest()


def _trainer(recipe: Recipe, loaded: LoadedModel, views: Sequence[View], run: Path) -> SFTTrainer:
    torch.manual_seed(recipe.seed)
    dataset = Dataset.from_dict(
        {
            "input_ids": [list(view.token_ids) for view in views],
            "labels": [list(view.labels) for view in views],
        }
    )
    trainer = SFTTrainer(
        model=loaded.model,
        args=_arguments(recipe, loaded, run),
        train_dataset=dataset,
        processing_class=_processor(loaded),
        peft_config=LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=_targets(recipe.targets),
            use_rslora=recipe.rslora,
            task_type="CAUSAL_LM",
        ),
    )
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL casts QLoRA's to bf16; resuming would not be exact then
            parameter.data = parameter.data.float()
    return trainer


def _arguments(recipe: Recipe, loaded: LoadedModel, run: Path) -> SFTConfig:
    on_cpu = loaded.model.device.type == "cpu"
    return SFTConfig(
        output_dir=str(run / "checkpoints"),
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup,
        num_train_epochs=1,  # the rows come in the order of all epochs
        max_steps=recipe.max_steps or -1,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.gradient_norm,
        optim=recipe.optimizer,
        max_length=recipe.longest,
        packing=recipe.packing,
        gradient_checkpointing=recipe.checkpointing,
        bf16=not on_cpu,
        use_cpu=on_cpu,
        seed=recipe.seed,
        data_seed=recipe.seed,
        logging_steps=10,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        dataloader_pin_memory=not on_cpu,
    )


def _targets(text: str) -> str | list[str]:
    return text if text == "all-linear" else [each.strip() for each in text.split(",")]


def _processor(loaded: LoadedModel) -> PreTrainedTokenizerBase:
    """What TRL pads with; rows are tokenized already."""
    from playground.models.download import locate

    processor = AutoTokenizer.from_pretrained(locate(loaded.spec), trust_remote_code=False)
    if processor.pad_token_id is None:
        processor.pad_token = processor.eos_token
    return processor
