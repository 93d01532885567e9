"""One training run: rows in, a run's folder with checkpoints and an adapter out; resumes where an
earlier process stopped.

Knows recipes, tokenized rows and the loaded model; knows no file format and no page.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import EarlyStoppingCallback, Trainer
from transformers.modeling_layers import GradientCheckpointingLayer

from finetune.data.dataset import TrainingData
from finetune.data.examples import TrainingExample
from finetune.data.tokenize import length_of
from finetune.methods import method_of
from finetune.methods.base import check_examples
from finetune.recipe import Recipe, read_recorded, recipe_yaml
from finetune.training.adapter_card import write_card
from finetune.training.callbacks import (
    DiskBudget,
    MetricsLog,
    PeakMemory,
    SampleAnswers,
    SeedOfProcess,
    StopOnEvent,
    read_log,
)
from finetune.training.checkpoints import (
    ADAPTER_FOLDER,
    CHECKPOINTS_FOLDER,
    DATA_HASH_FILE,
    METRICS_FILE,
    RECIPE_FILE,
    SAMPLES_FILE,
    last_complete,
    step_of,
)
from finetune.training.hooks import Trained, TrainingHooks
from finetune.training.processes import ALONE, Processes
from finetune.training.schedule import epochs_of, schedule_epochs
from finetune.training.share import share_of
from finetune.training.trainer import build_trainer, check_targets
from playground.errors import InvalidSettings
from playground.files import atomic_folder, write_atomic
from playground.models.adapters import TRAINED_PROMPTS_FILE
from playground.models.loaded import LoadedModel
from playground.models.shared_weights import shared_weight_copy
from playground.runtime import collect_as_usual

STATE_BYTES = 12
"""A checkpoint's bytes for each trained parameter: itself and Adam's two moments in fp32."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What every part of a run needs."""

    recipe: Recipe
    loaded: LoadedModel
    data: TrainingData
    folder: Path
    name: str
    hooks: TrainingHooks
    processes: Processes


def train(
    recipe: Recipe,
    loaded: LoadedModel,
    data: TrainingData,
    folder: Path,
    name: str,
    hooks: TrainingHooks | None = None,
    processes: Processes = ALONE,
) -> Trained:
    """Train in ``folder``, or resume from its last complete checkpoint; ``folder/adapter`` is then
    the adapter ``name``, whole or absent. All ``processes`` call it; the first one writes.

    Works on a copy of the base that shares its weights, so the base may answer requests meanwhile.
    Raises `InvalidSettings` if nothing would be trained, if the rows do not fit the method, if the
    folder belongs to another recipe or other rows, or if the processes do not divide a step.
    """
    hooks = hooks or TrainingHooks()
    check_examples(method_of(recipe), recipe, data.train)
    check_targets(recipe, loaded.model)
    share_of(recipe, processes.number)
    checkpoint = processes.on_first(lambda: _begin(recipe, data, folder))
    processes.check_same(f"{loaded.weights_hash} {data.sha256}", "a base or rows")
    resumed_at = step_of(checkpoint) if checkpoint else 0
    # trainers patch the model that they are given
    run = _Run(recipe, shared_weight_copy(loaded), data, folder, name, hooks, processes)
    sequences = schedule_epochs(recipe, data.train, data.replay, length_of)
    start_s = time.monotonic()
    with all_cores():
        trainer = build_trainer(
            recipe, run.loaded, sequences, data.eval, folder / CHECKPOINTS_FOLDER, processes
        )
        _check_disk(run, trainer)
        if hooks.throttle:
            _throttle(trainer, hooks.throttle, hooks.stop_event)
        peak = _add_callbacks(trainer, run, resumed_at)
        collect_as_usual()  # a command delays it while all of this is imported
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.monotonic() - start_s
        steps, loss = result.global_step, _mean_loss(folder / METRICS_FILE)
        if processes.any(hooks.stop_event.is_set()) and steps < trainer.state.max_steps:
            return Trained(None, steps, loss, seconds, resumed_at)
        metrics = {"steps": steps, "loss": loss, "seconds": seconds}
        metrics |= {"peak_bytes": max(processes.gather(peak.bytes)), "processes": processes.number}
        if data.eval:
            metrics |= trainer.evaluate()
            metrics.pop("epoch", None)  # the trainer takes all epochs for one
        adapter = processes.on_first(lambda: _write_adapter(trainer, run, metrics))
    return Trained(adapter, steps, loss, seconds, resumed_at)


def _begin(recipe: Recipe, data: TrainingData, folder: Path) -> Path | None:
    """Claim the folder; return the checkpoint to resume from, if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / ADAPTER_FOLDER).exists():
        raise InvalidSettings(f"{folder / ADAPTER_FOLDER} is there already; the run is over")
    _claim(folder, recipe, data)
    return last_complete(folder / CHECKPOINTS_FOLDER)


def _mean_loss(path: Path) -> float:
    """Over all steps: transformers' own leaves out those before a resume."""
    losses = [line["loss"] for line in read_log(path) if "loss" in line] if path.exists() else []
    return sum(losses) / len(losses) if losses else float("nan")


def _claim(folder: Path, recipe: Recipe, data: TrainingData) -> None:
    """Write recipe and data hash into the folder, or check that they are those of the run."""
    recipe_file, hash_file = folder / RECIPE_FILE, folder / DATA_HASH_FILE
    if recipe_file.exists() and read_recorded(recipe_file) != recipe:
        raise InvalidSettings(f"{folder} is a run of another recipe; start a new one")
    if hash_file.exists() and hash_file.read_text(encoding="utf-8").strip() != data.sha256:
        raise InvalidSettings(f"{folder} is a run of other rows; start a new one")
    write_atomic(recipe_file, recipe_yaml(recipe))
    write_atomic(hash_file, data.sha256 + "\n")


def _check_disk(run: _Run, trainer: Trainer) -> None:
    """Before the first step: a run that cannot save is lost when it is killed."""
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    needed = trained * STATE_BYTES
    free = shutil.disk_usage(run.folder).free
    for available, place in (
        (run.recipe.disk_budget_gb * 1e9, "disk_budget_gb"),
        (free, "the disk"),
    ):
        if needed > available:
            raise InvalidSettings(
                f"a checkpoint takes {needed / 1e9:.3g} GB; {place} has {available / 1e9:.3g} GB"
            )


def _add_callbacks(trainer: Trainer, run: _Run, resumed_at: int) -> PeakMemory:
    recipe, hooks, processes = run.recipe, run.hooks, run.processes
    peak = PeakMemory()
    trainer.add_callback(peak)
    trainer.add_callback(StopOnEvent(hooks.stop_event, processes))
    if processes.number > 1:
        trainer.add_callback(SeedOfProcess(recipe.seed, resumed_at))
    if processes.is_first:
        _add_writers(trainer, run, resumed_at)
    if recipe.early_stopping_patience:
        trainer.add_callback(EarlyStoppingCallback(recipe.early_stopping_patience))
    return peak


def _add_writers(trainer: Trainer, run: _Run, resumed_at: int) -> None:
    """Add what writes to the run's folder."""
    recipe = run.recipe
    epochs = epochs_of(recipe, len(run.data.train))
    metrics = run.folder / METRICS_FILE
    trainer.add_callback(MetricsLog(metrics, epochs, resumed_at, run.hooks.on_log))
    trainer.add_callback(DiskBudget(round(recipe.disk_budget_gb * 1e9)))
    candidates = run.data.eval or run.data.train
    examples = [example for example in candidates if isinstance(example, TrainingExample)]
    if recipe.sample_steps and examples:
        path = run.folder / SAMPLES_FILE
        trainer.add_callback(
            SampleAnswers(path, recipe.sample_steps, examples, run.loaded.tokenizer)
        )


def _throttle(
    trainer: Trainer, wait: Callable[[threading.Event], None], stop_event: threading.Event
) -> None:
    """Call ``wait`` before every layer of the forward and of the backward pass."""

    def before(_module: object, _inputs: object) -> None:
        wait(stop_event)

    def after(_module: object, _inputs: object, output: torch.Tensor | tuple[torch.Tensor]) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        if hidden.requires_grad:
            hidden.register_hook(lambda _gradient: wait(stop_event))  # type: ignore[no-untyped-call]

    for module in trainer.model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)


def _write_adapter(trainer: Trainer, run: _Run, metrics: dict[str, float]) -> Path:
    """Write the adapter's folder, whole or not at all."""
    target, data, recipe = run.folder / ADAPTER_FOLDER, run.data, run.recipe
    with atomic_folder(target) as folder:
        trainer.model.save_pretrained(str(folder), safe_serialization=True)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty form of a model card
        write_card(
            folder,
            name=run.name,
            loaded=run.loaded,
            recipe=asdict(recipe),
            data={
                "rows": len(data.train),
                "sha256": data.sha256,
                "replay": recipe.replay_fraction if data.replay else 0.0,
            },
            metrics=metrics,
        )
        if data.trained_prompts:
            keys = "\n".join(data.trained_prompts)
            write_atomic(folder / TRAINED_PROMPTS_FILE, f"{keys}\n")
    with (run.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
        last = {"step": metrics["steps"], "done": True, "time_s": time.time()} | metrics
        file.write(json.dumps(last) + "\n")
    return target


@contextmanager
def all_cores() -> Iterator[None]:
    """Let torch use all cores that the process may use, or as many as ``OMP_NUM_THREADS`` says:
    unlike decoding, a training step over many rows is faster on them."""
    before = torch.get_num_threads()
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(said) if said.isdecimal() and int(said) else cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)
