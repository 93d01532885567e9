"""TRL's trainers over rows that are tokenized already: SFTTrainer for examples, DPOTrainer for pairs.

Knows recipes, examples and the loaded model; knows no folder but the one for checkpoints.
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

from finetune.data.examples import PreferencePair, TrainingExample
from finetune.recipe import Recipe
from finetune.training.schedule import uses_packing
from playground.errors import InvalidSettings
from playground.models.loaded import LoadedModel

Row = TrainingExample | PreferencePair


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
    if recipe.loraplus_lr_ratio > 1:
        kind_of, options = Trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
        trainer.optimizer = create_loraplus_optimizer(
            trainer.model, kind_of, loraplus_lr_ratio=recipe.loraplus_lr_ratio, **options
        )
    return trainer


def _no_model_card(*_: Any, **__: Any) -> None:
    """The adapter has a card of its own."""


def lora_config(recipe: Recipe) -> LoraConfig:
    """PEFT's configuration of the recipe's adapter."""
    targets = recipe.target_modules
    return LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=targets
        if targets == "all-linear"
        else [each.strip() for each in targets.split(",")],
        use_rslora=recipe.use_rslora,
        use_dora=recipe.use_dora,
        task_type="CAUSAL_LM",
    )


def _check_tracker(recipe: Recipe) -> None:
    if recipe.report_to != "none" and find_spec(recipe.report_to) is None:
        raise InvalidSettings(
            f"recipe.report_to: {recipe.report_to} is not installed; pip install {recipe.report_to}"
        )


def _dataset(examples: Sequence[Sequence[Row]]) -> Dataset:
    """``seq_lengths`` tells TRL's collator where a packed example's rows begin."""
    if any(isinstance(row, TrainingExample) for packed in examples for row in packed):
        rows = [[row for row in each if isinstance(row, TrainingExample)] for each in examples]
        return Dataset.from_dict(
            {
                "input_ids": [[t for row in packed for t in row.token_ids] for packed in rows],
                "labels": [[t for row in packed for t in row.labels] for packed in rows],
                "seq_lengths": [[len(row.token_ids) for row in packed] for packed in rows],
            }
        )
    pairs = [row for each in examples for row in each if isinstance(row, PreferencePair)]
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
        "per_device_train_batch_size": recipe.micro_batch_size,
        "per_device_eval_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.lr_scheduler_type,
        "warmup_steps": recipe.warmup_ratio,
        "num_train_epochs": 1,  # the rows come in the order of all epochs
        "max_steps": recipe.max_steps or -1,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": recipe.optim,
        "neftune_noise_alpha": recipe.neftune_noise_alpha or None,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "activation_offloading": recipe.activation_offloading,
        "bf16": not on_cpu,
        "use_cpu": on_cpu,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": 1,  # a mean over several would differ after resuming between two logs
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
        "dataloader_pin_memory": not on_cpu,
        "report_to": [] if recipe.report_to == "none" else [recipe.report_to],
        **_saving(recipe, evaluates=evaluates),
    }
    if recipe.method == "dpo":
        return DPOConfig(**common, max_length=None, beta=recipe.beta)
    return SFTConfig(
        **common,
        max_length=recipe.max_length,
        packing=uses_packing(recipe),
        dataset_kwargs={"skip_prepare_dataset": True},  # tokenized, packed and in order already
    )


def _saving(recipe: Recipe, *, evaluates: bool) -> Mapping[str, Any]:
    """Checkpoints and evaluations; the best one is kept where ``patience`` asks for it."""
    options: dict[str, Any] = {
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": recipe.save_total_limit,
    }
    if evaluates and recipe.eval_steps:
        options |= {"eval_strategy": "steps", "eval_steps": recipe.eval_steps}
    if recipe.early_stopping_patience:
        if not (evaluates and recipe.eval_steps):
            raise InvalidSettings(
                "recipe.early_stopping_patience: needs eval_steps, and eval_fraction or an eval file"
            )
        options |= {
            "save_steps": recipe.eval_steps,
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
