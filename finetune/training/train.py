"""One training run: rows in, a run's folder with checkpoints and an adapter out; goes on where an
earlier process stopped.

Knows recipes, tokenized rows and the loaded model; knows no file format and no page.
"""

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, Trainer
from transformers.modeling_layers import GradientCheckpointingLayer

from finetune.data.examples import PreferencePair, TrainingExample
from finetune.recipe import Recipe, recipe_yaml
from finetune.training.adapter_card import write_card
from finetune.training.callbacks import DiskBudget, Log, Peak, Reports, Samples, Stop, read_log
from finetune.training.checkpoints import last_good, step_of
from finetune.training.schedule import schedule_epochs
from finetune.training.trainer import Row, build
from playground.errors import InvalidSettings
from playground.models.loaded import LoadedModel
from playground.models.shared_weights import shared_weight_copy

CHECKPOINTS, ADAPTER, METRICS, SAMPLES = "checkpoints", "adapter", "metrics.jsonl", "samples.jsonl"
STATE_BYTES = 12
"""A checkpoint's bytes for each trained parameter: itself and Adam's two moments in fp32."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a run learns from: ``rows`` are all examples or all pairs, as are ``held`` and ``replay``.

    ``replay`` holds general rows against forgetting, ``held`` those for evaluation.
    """

    rows: Sequence[Row]
    replay: Sequence[Row] = ()
    held: Sequence[Row] = ()

    @property
    def sha256(self) -> str:
        """Of the token ids and labels of everything."""
        digest = hashlib.sha256()
        for row in (*self.rows, *self.replay, *self.held):
            digest.update(repr(row).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class TrainingHooks:
    """Who looks on: each log goes to ``report``; once ``stop`` is set the run ends after its step,
    with a checkpoint. ``turn`` is called before each layer, forward and backward, with ``stop``: it
    returns when training may go on, so that a decode step never waits for more than a layer."""

    report: Callable[[Log], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    turn: Callable[[threading.Event], None] | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """How far a run came. ``folder`` is the adapter's, None if the run was stopped before its end;
    ``loss`` is the mean over the run, ``seconds`` this process's part of it."""

    folder: Path | None
    steps: int
    loss: float
    seconds: float
    resumed_at: int = 0


def train(
    recipe: Recipe,
    loaded: LoadedModel,
    data: Data,
    run: Path,
    name: str,
    watch: TrainingHooks | None = None,
) -> Trained:
    """Train in the folder ``run``, or go on from its last good checkpoint; ``run/adapter`` is then
    the adapter ``name``, whole or absent.

    Works on a twin of the base, which is left as it is and may answer requests meanwhile. Raises
    `InvalidSettings` if nothing would be learned, if the rows do not fit the method, or if the
    folder belongs to another recipe or other rows.
    """
    watch = watch or TrainingHooks()
    _check(recipe, data)
    run.mkdir(parents=True, exist_ok=True)
    if (run / ADAPTER).exists():
        raise InvalidSettings(f"{run / ADAPTER} is there already; the run is over")
    _claim(run, recipe, data)
    checkpoint = last_good(run / CHECKPOINTS)
    resumed_at = step_of(checkpoint) if checkpoint else 0
    loaded = shared_weight_copy(loaded)  # trainers patch the model that they are given
    order = schedule_epochs(recipe, data.rows, data.replay, _length)
    began = time.monotonic()
    with all_cores():
        trainer = build(recipe, loaded, order, data.held, run / CHECKPOINTS)
        _check_disk(recipe, trainer, run)
        if watch.turn:
            _take_turns(trainer, watch.turn, watch.stop)
        peak = _watch(trainer, recipe, loaded, data, run, watch, resumed_at)
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.monotonic() - began
        steps, loss = result.global_step, _mean_loss(run / METRICS)
        if watch.stop.is_set() and steps < trainer.state.max_steps:
            return Trained(None, steps, loss, seconds, resumed_at)
        metrics = {"steps": steps, "loss": loss, "seconds": seconds, "peak_bytes": peak.bytes}
        if data.held:
            metrics |= trainer.evaluate()
            metrics.pop("epoch", None)  # the trainer sees all epochs as one
        folder = _finish(trainer, recipe, loaded, data, run, name, metrics)
    return Trained(folder, steps, loss, seconds, resumed_at)


def _mean_loss(path: Path) -> float:
    """Over all steps: transformers' own leaves out those before a resume."""
    losses = [line["loss"] for line in read_log(path) if "loss" in line]
    return sum(losses) / len(losses) if losses else float("nan")


def _check(recipe: Recipe, data: Data) -> None:
    wanted = TrainingExample if recipe.method == "sft" else PreferencePair
    rows = [row for row in data.rows if isinstance(row, wanted)]
    if not any(row.trained for row in rows):
        kind = "rows with answers" if recipe.method == "sft" else "preferences"
        raise InvalidSettings(f"no token of these rows would be trained: {kind} are needed")
    others = len(data.rows) - len(rows)
    if others:
        raise InvalidSettings(
            f"recipe.method: {others} of {len(data.rows)} rows do not fit {recipe.method}: "
            "preferences are trained by dpo, all others by sft"
        )


def _claim(run: Path, recipe: Recipe, data: Data) -> None:
    """The folder is this recipe's and these rows', or nobody's yet."""
    text = recipe_yaml(recipe)
    for name, value in (("recipe.yaml", text), ("data.sha256", data.sha256 + "\n")):
        path = run / name
        if path.exists() and path.read_text(encoding="utf-8") != value:
            what = "recipe" if name == "recipe.yaml" else "rows"
            raise InvalidSettings(f"{run} is a run of another {what}; start a new one")
        path.write_text(value, encoding="utf-8")


def _check_disk(recipe: Recipe, trainer: Trainer, run: Path) -> None:
    """Before the first step: a run that cannot save is lost when it is killed."""
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    one = trained * STATE_BYTES
    free = shutil.disk_usage(run).free
    for have, where in ((recipe.disk_budget_gb * 1e9, "disk_budget_gb"), (free, "the disk")):
        if one > have:
            raise InvalidSettings(
                f"a checkpoint takes {one / 1e9:.3g} GB; {where} has {have / 1e9:.3g} GB"
            )


def _watch(
    trainer: Trainer,
    recipe: Recipe,
    loaded: LoadedModel,
    data: Data,
    run: Path,
    watch: TrainingHooks,
    resumed_at: int,
) -> Peak:
    peak = Peak()
    trainer.add_callback(peak)
    trainer.add_callback(Reports(run / METRICS, recipe.num_train_epochs, resumed_at, watch.report))
    trainer.add_callback(Stop(watch.stop))
    trainer.add_callback(DiskBudget(round(recipe.disk_budget_gb * 1e9)))
    examples = [row for row in (data.held or data.rows) if isinstance(row, TrainingExample)]
    if recipe.sample_steps and examples:
        samples = Samples(run / SAMPLES, recipe.sample_steps, examples, loaded.tokenizer)
        trainer.add_callback(samples)
    if recipe.early_stopping_patience:
        trainer.add_callback(EarlyStoppingCallback(recipe.early_stopping_patience))
    return peak


def _take_turns(
    trainer: Trainer, turn: Callable[[threading.Event], None], stop: threading.Event
) -> None:
    def before(_module: Any, _inputs: Any) -> None:
        turn(stop)

    def after(_module: Any, _inputs: Any, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        if hidden.requires_grad:
            hidden.register_hook(lambda _gradient: turn(stop))

    for module in trainer.model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.register_forward_pre_hook(before)
            module.register_forward_hook(after)


def _finish(
    trainer: Trainer,
    recipe: Recipe,
    loaded: LoadedModel,
    data: Data,
    run: Path,
    name: str,
    metrics: dict[str, Any],
) -> Path:
    """Write the adapter under another name, then give it its own."""
    temporary = run / f".{ADAPTER}"
    shutil.rmtree(temporary, ignore_errors=True)
    trainer.model.save_pretrained(str(temporary), safe_serialization=True)
    (temporary / "README.md").unlink(missing_ok=True)  # PEFT's empty form of a model card
    write_card(
        temporary,
        name=name,
        loaded=loaded,
        recipe=asdict(recipe),
        data={
            "rows": len(data.rows),
            "sha256": data.sha256,
            "replay": recipe.replay_fraction if data.replay else 0.0,
        },
        metrics=metrics,
    )
    temporary.replace(run / ADAPTER)
    with (run / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": metrics["steps"], "done": True} | metrics) + "\n")
    return run / ADAPTER


def _length(row: Row) -> int:
    if isinstance(row, TrainingExample):
        return len(row.token_ids)
    return len(row.prompt) + max(len(row.chosen), len(row.rejected))


@contextmanager
def all_cores() -> Iterator[None]:
    """A step over many rows, unlike decoding, is faster on all cores that the process may use."""
    before = torch.get_num_threads()
    affinity = getattr(os, "sched_getaffinity", None)
    torch.set_num_threads(len(affinity(0)) if affinity else os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
