"""Builds TRL's trainers over rows that are tokenized already.

Knows recipes, examples and the loaded model; knows no folder but the one for checkpoints. What
differs between methods is in `finetune.methods`.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from peft.optimizers import create_loraplus_optimizer
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PrinterCallback, Trainer

from finetune.data.examples import AnyExample
from finetune.methods import TrainerParts, method_of
from finetune.methods.base import Columns
from finetune.recipe import UNSERVED_MODULES, Recipe, target_names
from finetune.training.init_adapter import start_from
from finetune.training.packed_attention import use_packed_attention
from finetune.training.processes import ALONE, STEP_TIMEOUT, Processes
from finetune.training.share import Share, share_of
from finetune.training.weight_space import use_weight_space
from playground.errors import InvalidSettings
from playground.models.config import has_fast_bf16
from playground.models.loaded import LoadedModel

SHORT_SEQUENCE = 512
"""Tokens up to which attention's scores are kept in memory without much loss."""


def build_trainer(
    recipe: Recipe,
    loaded: LoadedModel,
    sequences: Sequence[Sequence[AnyExample]],
    eval_examples: Sequence[AnyExample],
    folder: Path,
    processes: Processes = ALONE,
) -> Trainer:
    """Build a trainer whose adapter is in fp32 and starts from the recipe's seed, and which takes
    this process's share of every step."""
    _check_tracker(recipe)
    share = share_of(recipe, processes.number)
    torch.manual_seed(recipe.seed)
    method = method_of(recipe)
    eval_sequences = [[example] for example in eval_examples]
    columns = method.columns(recipe, sequences)
    if method.padding_row and processes.number > 1:
        columns = _padded(columns, method.padding_row, share.micro_batch_size * processes.number)
    parts = TrainerParts(
        model=loaded.model,
        arguments=_arguments(recipe, loaded, folder, share, evaluates=bool(eval_examples)),
        train_dataset=Dataset.from_dict(columns),
        eval_dataset=Dataset.from_dict(method.columns(recipe, eval_sequences))
        if eval_examples
        else None,
        processing_class=padding_tokenizer(loaded),
        peft_config=lora_config(recipe),
    )
    trainer = method.build_trainer(recipe, parts)
    trainer.processing_class = None  # each checkpoint would hold the tokenizer's 11 MB
    trainer.create_model_card = _no_model_card  # TRL writes one into every checkpoint
    trainer.remove_callback(PrinterCallback)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL casts QLoRA's to bf16; resuming would not be exact then
            parameter.data = parameter.data.float()
    if recipe.init_adapter:
        start_from(trainer.model, Path(recipe.init_adapter), loaded)
    if _computes_in_bf16(loaded) and on_cpu(loaded) and not recipe.lora_dropout:
        use_weight_space(trainer.model)
    if recipe.loraplus_lr_ratio > 1:
        optimizer, options = Trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
        trainer.optimizer = create_loraplus_optimizer(
            trainer.model, optimizer, loraplus_lr_ratio=recipe.loraplus_lr_ratio, **options
        )
    if processes.number > 1:
        _exchange_adapter_only(trainer.model)
    return trainer


def _padded(columns: Columns, row: Mapping[str, list[int]], multiple: int) -> Columns:
    """Fill up to a multiple with rows that train nothing; accelerate would repeat the first."""
    missing = -len(next(iter(columns.values()))) % multiple
    return {name: [*values, *[row[name]] * missing] for name, values in columns.items()}


def _exchange_adapter_only(model: nn.Module) -> None:
    """Keep DDP from sending the whole base around at the start: every process has loaded it."""
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    buffers = [name for name, _ in model.named_buffers()]
    ignore = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(model, [*frozen, *buffers])  # type: ignore[no-untyped-call]


def _no_model_card(*_: object, **__: object) -> None:
    """Write nothing: the adapter has a card of its own."""


def lora_config(recipe: Recipe) -> LoraConfig:
    """Return PEFT's configuration of the recipe's adapter."""
    targets = recipe.target_modules
    return LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=targets if targets == "all-linear" else target_names(targets),
        use_rslora=recipe.use_rslora,
        task_type="CAUSAL_LM",
    )


def check_targets(recipe: Recipe, model: nn.Module) -> None:
    """Raise `InvalidSettings` for a target module that the base does not have."""
    if recipe.target_modules == "all-linear":
        return
    linear = [path for path, module in model.named_modules() if hasattr(module, "in_features")]
    for name in target_names(recipe.target_modules):
        if not any(path == name or path.endswith(f".{name}") for path in linear):
            known = sorted({path.rsplit(".", 1)[-1] for path in linear} - {*UNSERVED_MODULES})
            raise InvalidSettings(
                f"recipe.target_modules: the base has no linear module {name}; "
                f"it has {', '.join(known)}"
            )


def _check_tracker(recipe: Recipe) -> None:
    if recipe.report_to != "none" and find_spec(recipe.report_to) is None:
        raise InvalidSettings(
            f"recipe.report_to: {recipe.report_to} is not installed; pip install {recipe.report_to}"
        )


def _arguments(
    recipe: Recipe, loaded: LoadedModel, folder: Path, share: Share, *, evaluates: bool
) -> Mapping[str, object]:
    is_cpu = on_cpu(loaded)
    _set_attention(recipe, loaded)
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": share.micro_batch_size,
        "per_device_eval_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": share.gradient_accumulation_steps,
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
        "bf16": not is_cpu or _computes_in_bf16(loaded),
        "use_cpu": is_cpu,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": 1,  # a mean over several would differ after resuming between two logs
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
        "dataloader_pin_memory": not is_cpu,
        "ddp_find_unused_parameters": False,
        "ddp_timeout": round(STEP_TIMEOUT.total_seconds()),
        "report_to": [] if recipe.report_to == "none" else [recipe.report_to],
        **_saving(recipe, evaluates=evaluates),
    }


def on_cpu(loaded: LoadedModel) -> bool:
    """Whether the base lies in the CPU's memory."""
    return str(loaded.model.device.type) == "cpu"


def _computes_in_bf16(loaded: LoadedModel) -> bool:
    """Whether the products of a base in bf16 are best made in bf16 on this CPU, too; otherwise PEFT
    casts every input of the adapter to fp32, which took twice the time with AMX."""
    return loaded.model.dtype == torch.bfloat16 and has_fast_bf16()


def _set_attention(recipe: Recipe, loaded: LoadedModel) -> None:
    """Choose the attention that is fastest for the recipe's rows."""
    if not on_cpu(loaded) or recipe.max_length > SHORT_SEQUENCE:
        return
    is_packed = method_of(recipe).uses_packing(recipe)
    if is_packed and use_packed_attention(loaded.model):
        return
    # In bf16 the backward pass of torch's fused attention is slower than products and a softmax, as
    # long as the scores of a sequence are few.
    if _computes_in_bf16(loaded):
        loaded.model.set_attn_implementation("eager")


def _saving(recipe: Recipe, *, evaluates: bool) -> Mapping[str, object]:
    """When to save and to evaluate; early stopping keeps the best checkpoint."""
    options: dict[str, object] = {
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": recipe.save_total_limit,
    }
    if evaluates and recipe.eval_steps:
        options |= {"eval_strategy": "steps", "eval_steps": recipe.eval_steps}
    if recipe.early_stopping_patience:
        if not (evaluates and recipe.eval_steps):
            raise InvalidSettings(
                "recipe.early_stopping_patience: needs eval_steps, "
                "and eval_fraction or an eval file"
            )
        options |= {
            "save_steps": recipe.eval_steps,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    return options


def padding_tokenizer(loaded: LoadedModel) -> PreTrainedTokenizerBase:
    """Load the tokenizer that TRL pads with; rows are tokenized already."""
    tokenizer = AutoTokenizer.from_pretrained(loaded.folder, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        end = tokenizer.convert_ids_to_tokens(min(loaded.tokenizer.end_ids))
        tokenizer.pad_token = tokenizer.eos_token or end
    return tokenizer
