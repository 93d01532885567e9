"""TRL's trainers over rows that are tokenized already: SFTTrainer for views, DPOTrainer for pairs.

Knows recipes, views and the loaded model; knows no folder but the one for checkpoints.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from peft.optimizers import create_loraplus_optimizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PrinterCallback, Trainer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from finetune.data.examples import Pair, View
from finetune.recipe import Recipe
from finetune.training.schedule import packs
from playground.errors import InvalidSettings
from playground.models.loaded import LoadedModel

Row = View | Pair


class _PairsTrainer(DPOTrainer):  # type: ignore[misc]
    """DPO over token ids: TRL would render the prompts anew, and not as serving does."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset


def build(
    recipe: Recipe,
    loaded: LoadedModel,
    examples: Sequence[Sequence[Row]],
    held: Sequence[Row],
    folder: Path,
) -> Trainer:
    """A trainer whose adapter is in fp32 and starts from the recipe's seed."""
    _check_tracker(recipe)
    torch.manual_seed(recipe.seed)
    kind = SFTTrainer if recipe.method == "sft" else _PairsTrainer
    trainer = kind(
        model=loaded.model,
        args=_arguments(recipe, loaded, folder, evaluates=bool(held)),
        train_dataset=_dataset(examples),
        eval_dataset=_dataset([[row] for row in held]) if held else None,
        processing_class=_processor(loaded),
        peft_config=lora_config(recipe),
    )
    trainer.processing_class = None  # each checkpoint would hold the tokenizer's 11 MB
    trainer.create_model_card = _no_model_card  # TRL writes one into every checkpoint
    trainer.remove_callback(PrinterCallback)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL casts QLoRA's to bf16; resuming would not be exact then
            parameter.data = parameter.data.float()
    if recipe.lora_plus > 1:
        kind_of, options = Trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
        trainer.optimizer = create_loraplus_optimizer(
            trainer.model, kind_of, loraplus_lr_ratio=recipe.lora_plus, **options
        )
    return trainer


def _no_model_card(*_: Any, **__: Any) -> None:
    """The adapter has a card of its own."""


def lora_config(recipe: Recipe) -> LoraConfig:
    """PEFT's configuration of the recipe's adapter."""
    targets = recipe.targets
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=targets
        if targets == "all-linear"
        else [each.strip() for each in targets.split(",")],
        use_rslora=recipe.rslora,
        use_dora=recipe.dora,
        task_type="CAUSAL_LM",
    )


def _check_tracker(recipe: Recipe) -> None:
    if recipe.tracker != "none" and find_spec(recipe.tracker) is None:
        raise InvalidSettings(
            f"recipe.tracker: {recipe.tracker} is not installed; pip install {recipe.tracker}"
        )


def _dataset(examples: Sequence[Sequence[Row]]) -> Dataset:
    """``seq_lengths`` tells TRL's collator where a packed example's rows begin."""
    if any(isinstance(row, View) for example in examples for row in example):
        views = [[row for row in each if isinstance(row, View)] for each in examples]
        return Dataset.from_dict(
            {
                "input_ids": [[t for view in each for t in view.token_ids] for each in views],
                "labels": [[t for view in each for t in view.labels] for each in views],
                "seq_lengths": [[len(view.token_ids) for view in each] for each in views],
            }
        )
    pairs = [row for each in examples for row in each if isinstance(row, Pair)]
    return Dataset.from_dict(
        {
            "prompt_ids": [list(pair.prompt) for pair in pairs],
            "chosen_ids": [list(pair.chosen) for pair in pairs],
            "rejected_ids": [list(pair.rejected) for pair in pairs],
        }
    )


def _arguments(
    recipe: Recipe, loaded: LoadedModel, folder: Path, *, evaluates: bool
) -> SFTConfig | DPOConfig:
    on_cpu = loaded.model.device.type == "cpu"
    common: Mapping[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": recipe.warmup,
        "num_train_epochs": 1,  # the rows come in the order of all epochs
        "max_steps": recipe.max_steps or -1,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.gradient_norm,
        "optim": recipe.optimizer,
        "neftune_noise_alpha": recipe.neftune or None,
        "gradient_checkpointing": recipe.checkpointing,
        "activation_offloading": recipe.offload,
        "bf16": not on_cpu,
        "use_cpu": on_cpu,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": 1,  # a mean over several would differ after resuming between two logs
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
        "dataloader_pin_memory": not on_cpu,
        "report_to": [] if recipe.tracker == "none" else [recipe.tracker],
        **_saving(recipe, evaluates=evaluates),
    }
    if recipe.method == "dpo":
        return DPOConfig(**common, max_length=None, beta=recipe.beta)
    return SFTConfig(
        **common,
        max_length=recipe.longest,
        packing=packs(recipe),
        dataset_kwargs={"skip_prepare_dataset": True},  # tokenized, packed and in order already
    )


def _saving(recipe: Recipe, *, evaluates: bool) -> Mapping[str, Any]:
    """Checkpoints and evaluations; the best one is kept where ``patience`` asks for it."""
    options: dict[str, Any] = {
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "save_total_limit": recipe.keep_checkpoints,
    }
    if evaluates and recipe.eval_every:
        options |= {"eval_strategy": "steps", "eval_steps": recipe.eval_every}
    if recipe.patience:
        if not (evaluates and recipe.eval_every):
            raise InvalidSettings("recipe.patience: needs eval_every, and held_out or an eval file")
        options |= {
            "save_steps": recipe.eval_every,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    return options


def _processor(loaded: LoadedModel) -> PreTrainedTokenizerBase:
    """What TRL pads with; rows are tokenized already."""
    from playground.models.download import locate

    processor = AutoTokenizer.from_pretrained(locate(loaded.spec), trust_remote_code=False)
    if processor.pad_token_id is None:
        processor.pad_token = processor.eos_token
    return processor
