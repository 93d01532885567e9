"""A run that goes on ends as an uninterrupted one, whatever its method, schedule and options."""

import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from finetune.data.dataset import TrainingData, prepare
from finetune.methods import METHODS
from finetune.recipe import Schedule, embedded_cpu
from finetune.training.checkpoints import CHECKPOINTS_FOLDER
from finetune.training.hooks import Log, Trained, TrainingHooks
from finetune.training.train import train
from playground.models.adapters import WEIGHTS_FILE
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec

pytestmark = [pytest.mark.training, pytest.mark.slow]

STOPPED_AT = 3
SHORT = replace(
    embedded_cpu(),
    max_steps=6,
    num_train_epochs=3.0,
    micro_batch_size=4,
    replay_fraction=0.0,
    save_steps=100,
    warmup_ratio=0.3,
)
SCHEDULES: tuple[str, ...] = get_args(Schedule)
PAIRS = [
    (method, SCHEDULES[at % len(SCHEDULES)])
    for at, method in enumerate(list(METHODS) * -(-len(SCHEDULES) // len(METHODS)))
]
"""Each method and each schedule at least once: a schedule knows no method."""
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "packing": {"packing": True, "micro_batch_size": 1, "max_length": 64},
    "accumulation": {"micro_batch_size": 2, "gradient_accumulation_steps": 2},
    "checkpointing": {"gradient_checkpointing": True},
    "dropout, NEFTune": {"lora_dropout": 0.1, "neftune_noise_alpha": 5.0},
    "LoRA+, decay": {"loraplus_lr_ratio": 8.0, "weight_decay": 0.1},
}


@cache
def base() -> LoadedModel:
    return load(ModelSpec("embedded"))


def row(method: str, at: int) -> dict[str, object]:
    question = {"role": "user", "content": f"What is {at} plus 1?"}
    answer, other = (
        {"role": "assistant", "content": text} for text in (f"It is {at + 1}.", "I do not know.")
    )
    if method == "dpo":
        return {
            "input": {"messages": [question]},
            "preferred_output": [answer],
            "non_preferred_output": [other],
        }
    if method == "kto":
        good = at % 2 == 0
        return {"prompt": [question], "completion": [answer if good else other], "label": good}
    return {"messages": [question, answer]}


@cache
def data_of(method: str, folder: Path) -> TrainingData:
    file = folder / f"{method}.jsonl"
    file.write_text("".join(json.dumps(row(method, at)) + "\n" for at in range(12)))
    return prepare([file], base().tokenizer, folder).select(SHORT)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


def stopping() -> TrainingHooks:
    """Hooks that stop the run once a step is logged."""
    stop = threading.Event()

    def look(log: Log) -> None:
        if log["step"] == STOPPED_AT:
            stop.set()

    return TrainingHooks(on_log=look, stop_event=stop)


def weights(trained: Trained) -> bytes:
    assert trained.folder
    return (trained.folder / WEIGHTS_FILE).read_bytes()


@pytest.mark.parametrize(("method", "schedule"), PAIRS)
def test_stopped_run_ends_as_whole(method: str, schedule: str, rows: Path, tmp_path: Path) -> None:
    recipe = replace(SHORT, method=method, lr_scheduler_type=schedule)  # type: ignore[arg-type]
    data = data_of(method, rows)
    whole = train(recipe, base(), data, tmp_path / "whole", "whole")
    stopped = train(recipe, base(), data, tmp_path / "run", "run", stopping())
    assert stopped.folder is None
    done = train(recipe, base(), data, tmp_path / "run", "run")
    assert done.resumed_at in (STOPPED_AT, STOPPED_AT + 1)
    assert weights(done) == weights(whole)


@pytest.mark.parametrize("option", OPTIONS)
def test_resume_is_exact_with_option(option: str, rows: Path, tmp_path: Path) -> None:
    """From a checkpoint of the whole run, which is all that a kill leaves."""
    recipe = replace(SHORT, save_steps=STOPPED_AT, **OPTIONS[option])  # type: ignore[arg-type]
    whole = train(recipe, base(), data_of("sft", rows), tmp_path / "whole", "whole")
    checkpoint = f"{CHECKPOINTS_FOLDER}/checkpoint-{STOPPED_AT}"
    shutil.copytree(tmp_path / "whole" / checkpoint, tmp_path / "run" / checkpoint)
    done = train(recipe, base(), data_of("sft", rows), tmp_path / "run", "run")
    assert done.resumed_at == STOPPED_AT
    assert weights(done) == weights(whole)
