"""Training beside serving: one base in memory, neither notices the other."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from finetune.data.dataset import TrainingData
from finetune.data.examples import to_examples
from finetune.data.rows import Conversation
from finetune.recipe import Recipe, embedded_cpu
from finetune.training.callbacks import read_log
from finetune.training.hooks import TrainingHooks
from finetune.training.train import train
from playground.engine import Engine, Limits
from playground.engine.throttle import TrainingPriority, TrainingThrottle
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.shared_weights import shared_weight_copy
from playground.models.spec import ModelSpec
from playground.protocol import Message, Sampling
from playground.settings import Quantization
from tests.playground.engine.driver import Prompt, generate_all, render, token_ids

QUESTIONS = ("Hello!", "What can you do?", "Bonjour", "Tell me about Rome.") * 2


def base(quantization: Quantization) -> LoadedModel:
    return load(ModelSpec("embedded", quantization=quantization))


def data(loaded: LoadedModel) -> TrainingData:
    talks = [
        Conversation(
            (Message("user", f"What is a {word}?"), Message("assistant", f"A {word} is {n}.")),
            (),
            n,
        )
        for n, word in enumerate(("zolpar", "kentig", "murdel", "wuxo", "binto", "larp"))
    ]
    return TrainingData.of([v for talk in talks for v in to_examples(talk, loaded.tokenizer)])


def recipe_of(quantization: Quantization) -> Recipe:
    return replace(
        embedded_cpu(),
        num_train_epochs=4.0,
        micro_batch_size=3,
        replay_fraction=0.0,
        lora_dropout=0.1,
        quantization=quantization,
    )


def curve(run: Path) -> list[tuple[float, float]]:
    lines = read_log(run / "metrics.jsonl")
    return [(line["loss"], line["grad_norm"]) for line in lines if "grad_norm" in line]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Quantization], Path]:
    """Gives the run that nobody is answered beside, trained once for each quantization."""
    runs: dict[Quantization, Path] = {}

    def run(quantization: Quantization) -> Path:
        if quantization not in runs:
            runs[quantization] = tmp_path_factory.mktemp("alone")
            loaded = base(quantization)
            train(recipe_of(quantization), loaded, data(loaded), runs[quantization], "words")
        return runs[quantization]

    return run


def answers(engine: Engine) -> list[list[int]]:
    prompts = [
        Prompt(
            render(engine.loaded, text),
            Sampling(temperature=0.0 if i % 2 else 1.0, seed=i),
            max_tokens=24,
        )
        for i, text in enumerate(QUESTIONS)
    ]
    return token_ids(generate_all(engine, prompts))


@pytest.mark.slow
def test_shared_weight_copy_shares_all_weights() -> None:
    for quantization in get_args(Quantization):
        loaded = base(quantization)
        copied = shared_weight_copy(loaded)
        addresses = {p.data_ptr() for p in loaded.model.parameters()}
        assert {p.data_ptr() for p in copied.model.parameters()} == addresses
        assert copied.model is not loaded.model


@pytest.mark.training
@pytest.mark.parametrize(
    ("quantization", "priority"),
    [
        ("none", "balanced"), ("none", "high"), ("none", "low"), ("int8", "high"),
        ("nf4", "balanced"), ("nf4", "low"),
    ],
)  # fmt: skip
def test_training_and_answers_ignore_each_other(
    quantization: Quantization,
    priority: TrainingPriority,
    alone: Callable[[Quantization], Path],
    tmp_path: Path,
) -> None:
    recipe, whole = recipe_of(quantization), alone(quantization)
    loaded = base(quantization)
    with Engine(loaded, Limits(training=priority)) as engine:
        quiet = answers(engine)
        hooks = TrainingHooks(throttle=engine.throttle.wait)
        beside: list[list[list[int]]] = []

        def job() -> None:
            train(recipe, loaded, data(loaded), tmp_path / "beside", "words", hooks)

        thread = threading.Thread(target=job)
        thread.start()
        for _ in range(3):
            beside.append(answers(engine))
        thread.join()
        assert answers(engine) == quiet
    assert all(answered == quiet for answered in beside)
    assert curve(tmp_path / "beside") == curve(whole)
    name = "adapter/adapter_model.safetensors"
    assert (tmp_path / "beside" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_low_priority_training_waits_and_stops() -> None:
    throttle, stop, passed = TrainingThrottle("low"), threading.Event(), threading.Event()
    throttle.set_busy(True)

    def trains(wait: Callable[[threading.Event], None]) -> None:
        wait(stop)
        passed.set()

    thread = threading.Thread(target=trains, args=(throttle.wait,))
    thread.start()
    assert not passed.wait(0.3)
    stop.set()
    assert passed.wait(5)
    stop.clear()
    passed.clear()
    other = threading.Thread(target=trains, args=(throttle.wait,))
    other.start()
    throttle.set_busy(False)
    assert passed.wait(5)
    thread.join()
    other.join()


@pytest.mark.training
def test_training_leaves_the_serving_tree_alone(
    tmp_path: Path,
) -> None:
    loaded = base("none")
    before = {name: p.clone() for name, p in loaded.model.named_parameters()}
    train(recipe_of("none"), loaded, data(loaded), tmp_path / "run", "words")
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert all(torch.equal(p, before[name]) for name, p in loaded.model.named_parameters())
