"""Training: TRL's SFTTrainer on the shared loader, views in, an adapter folder out.

Knows recipes and views; knows no file format and no page. Heavy libraries are imported when it
runs.
"""

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
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
from playground.models.loaded import LoadedModel, wants_one_thread

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

    def __init__(self, path: Path, report: Report | None) -> None:
        self._path = path
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
    mixed = _mixed(recipe, views, replay)
    run = folder.with_name(f".{folder.name}.run")
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(recipe_yaml(recipe), encoding="utf-8")
    began = time.monotonic()
    if wants_one_thread(loaded.model):
        torch.set_num_threads(1)
    trainer = _trainer(recipe, loaded, mixed, run)
    trainer.add_callback(_Reports(run / "metrics.jsonl", report))
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
        data={"rows": len(views), "sha256": _hash(views), "replay": len(mixed) - len(views)},
        metrics=metrics,
    )
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    run.replace(folder)
    return Trained(folder, result.global_step, result.training_loss, seconds)


def _mixed(recipe: Recipe, views: Sequence[View], replay: Sequence[View]) -> list[View]:
    """The views, and so many of the replay's that they are the recipe's share of all."""
    if not recipe.replay or not replay:
        return list(views)
    wanted = round(len(views) * recipe.replay / (1 - recipe.replay))
    return [*views, *random.Random(recipe.seed).choices(replay, k=wanted)]


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
        num_train_epochs=recipe.epochs,
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
        train_sampling_strategy="random" if recipe.packing else "group_by_length",
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
