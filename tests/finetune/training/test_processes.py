"""Several processes train one run as one process would, and end together."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finetune.cli import main
from finetune.recipe import Recipe, embedded_cpu, recipe_yaml
from finetune.training.checkpoints import last_complete, step_of
from finetune.training.processes import Launch, check_strategy, launch_of
from finetune.training.share import Share, share_of
from playground.errors import InvalidSettings
from playground.studio.runs import list_runs
from tests.processes import RunningProcess, in_a_process

LONG_S = 300
RECIPE = replace(
    embedded_cpu(),
    num_train_epochs=1.0,
    micro_batch_size=2,
    gradient_accumulation_steps=4,
    max_grad_norm=0.0,  # a gradient of half the size would train the same, clipped
    lora_r=4,
    replay_fraction=0.0,
    eval_fraction=0.2,
    eval_steps=2,
    sample_steps=0,
    save_steps=1,
)
CLOSE = 1e-4
METRICS = (
    "loss",
    "grad_norm",
    "mean_token_accuracy",
    "kl",
    "eval_loss",
    "eval_mean_token_accuracy",
)
WEIGHTS = "adapter_model.safetensors"


def rows_file(folder: Path) -> Path:
    """Answers of very different lengths: a mean of means would not be the mean."""
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"What does item {at} cost?"},
                {"role": "assistant", "content": f"It costs {at} euros. " + "Yes. " * (at % 7)},
            ]
        }
        for at in range(27)
    ]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def train_command(home: Path, recipe: Recipe) -> tuple[str, ...]:
    home.mkdir(exist_ok=True)
    path = home / "recipe.yaml"
    path.write_text(recipe_yaml(recipe))
    rows = str(rows_file(home))
    return ("train", rows, "--name", "prices", "-r", str(path), "--out", str(home / "out"))


def finetune(*arguments: str) -> None:
    sys.argv = ["finetune", *arguments]
    main()


def accelerate_launch(*arguments: str) -> None:
    from accelerate.commands.launch import main as launch

    sys.argv = ["accelerate-launch", *arguments]
    launch()


def failing(*arguments: str) -> None:
    """The command, which fails in the second step of the last process."""
    from transformers import Trainer

    done = Trainer.training_step

    def step(trainer: Trainer, *values: object) -> torch.Tensor:
        if trainer.state.global_step and os.environ["RANK"] == "1":
            raise ZeroDivisionError("of no use")
        return done(trainer, *values)

    Trainer.training_step = step
    finetune(*arguments)


def start(
    home: Path, number: int, *arguments: str, function: object = finetune
) -> list[RunningProcess]:
    """Start the command as a launcher does, with as many processes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(number)}
    return [
        in_a_process(
            function,  # type: ignore[arg-type]
            *arguments,
            environment={
                "PLAYGROUND_HOME": str(home),
                **(common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if number > 1 else {}),
            },
        )
        for rank in range(number)
    ]


def run(home: Path, number: int, *arguments: str) -> None:
    """Run the command in so many processes, which all succeed."""
    processes = start(home, number, *arguments)
    for process in processes:
        assert process.wait(LONG_S) == 0, [each.output() for each in processes]


def curve(home: Path) -> list[float]:
    (found,) = list_runs(home)
    lines = map(json.loads, (found.folder / "metrics.jsonl").read_text().splitlines())
    return [
        line[name] for line in lines for name in METRICS if name in line and not line.get("done")
    ]


def same_adapter(one: Path, other: Path) -> bool:
    first, second = load_file(one / "out" / WEIGHTS), load_file(other / "out" / WEIGHTS)
    largest = max(float(tensor.abs().max()) for tensor in first.values())
    return all(
        torch.allclose(first[name], second[name], atol=0.01 * largest, rtol=0) for name in first
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("alone")
    run(home, 1, *train_command(home, RECIPE))
    return home


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made that `accelerate launch` started."""
    home = tmp_path_factory.mktemp("launched")
    options = ("--multi_gpu", "--num_processes", "2", "--num_machines", "1")
    launcher = in_a_process(
        accelerate_launch,
        *(*options, "--main_process_port", "0", "-m", "finetune", *train_command(home, RECIPE)),
        environment={"PLAYGROUND_HOME": str(home)},
    )
    assert launcher.wait(LONG_S) == 0, launcher.output()
    (home / "printed").write_text(launcher.stdout)
    return home


@pytest.mark.slow
@pytest.mark.training
def test_two_processes_train_as_one(alone: Path, launched: Path) -> None:
    assert len(curve(alone)) >= 8
    assert curve(launched) == pytest.approx(curve(alone), rel=CLOSE)
    assert same_adapter(launched, alone)


@pytest.mark.slow
@pytest.mark.training
def test_first_process_alone_writes(launched: Path) -> None:
    printed = (launched / "printed").read_text()
    assert printed.count("\nrun ") == 1
    assert "2 processes, each with the whole base and 4 of a step's 8 sequences" in printed
    (found,) = list_runs(launched)
    lines = (found.folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(steps)
    card = json.loads((launched / "out" / "adapter_card.json").read_text())
    assert card["metrics"]["processes"] == 2


@pytest.mark.slow
@pytest.mark.training
def test_two_processes_estimate_kl_as_one(tmp_path: Path) -> None:
    """KTO compares with the rows of its micro batch, not with those of other processes."""
    recipe = replace(RECIPE, method="kto", eval_fraction=0.0, eval_steps=0)
    for number in (1, 2):
        home = tmp_path / str(number)
        command = train_command(home, recipe)
        lines = [
            {"prompt": f"Item {at}?", "completion": "Yes. " * (1 + at % 5), "label": at % 2 == 0}
            for at in range(16)
        ]
        (home / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        run(home, number, *command)
    assert curve(tmp_path / "2") == pytest.approx(curve(tmp_path / "1"), rel=CLOSE)


@pytest.mark.slow
@pytest.mark.training
@pytest.mark.parametrize(("began", "goes_on"), [("launched", 1), ("alone", 2)])
def test_other_number_of_processes_resumes(
    began: str, goes_on: int, request: pytest.FixtureRequest, tmp_path: Path, alone: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(request.getfixturevalue(began), home)
    (found,) = list_runs(home)
    for later in ("adapter", "checkpoints/checkpoint-2", "checkpoints/checkpoint-3"):
        shutil.rmtree(found.folder / later)
    shutil.rmtree(home / "out")
    run(home, goes_on, "resume", "prices", "--out", str(home / "out"))
    assert curve(home) == pytest.approx(curve(alone), rel=CLOSE)
    assert same_adapter(home, alone)


@pytest.mark.slow
@pytest.mark.training
def test_same_number_resumes_exactly(tmp_path: Path) -> None:
    home = tmp_path / "home"
    recipe = replace(
        RECIPE, lora_dropout=0.2, micro_batch_size=4, gradient_accumulation_steps=1, max_steps=4
    )
    run(home, 2, *train_command(home, recipe))
    whole = curve(home)
    (found,) = list_runs(home)
    shutil.rmtree(found.folder / "adapter")
    for checkpoint in found.folder.glob("checkpoints/checkpoint-*"):
        if step_of(checkpoint) > 2:
            shutil.rmtree(checkpoint)
    run(home, 2, "resume", "prices", "--out", str(home / "again"))
    assert curve(home) == whole


@pytest.mark.slow
@pytest.mark.training
def test_signal_to_one_stops_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    processes = start(home, 2, *train_command(home, replace(RECIPE, max_steps=500)))
    while not list(home.glob("runs/*/checkpoints/checkpoint-*")):
        assert processes[0].wait(0.01) is None, processes[0].output()
    processes[1].terminate()
    assert [each.wait(LONG_S) for each in processes] == [0, 0], processes[0].output()
    (found,) = list_runs(home)
    saved = last_complete(found.folder / "checkpoints")
    assert saved is not None
    assert f"stopped after step {step_of(saved)}; go on" in processes[0].stdout


@pytest.mark.slow
@pytest.mark.training
def test_error_of_one_ends_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    processes = start(home, 2, *train_command(home, RECIPE), function=failing)
    assert [each.wait(LONG_S) for each in processes] == [3, 3], processes[0].output()
    named = "error: process 1 of 2: the run failed: ZeroDivisionError: of no use"
    assert named in processes[1].stderr
    assert "error:" not in processes[0].output()


@pytest.mark.slow
def test_bad_input_is_said_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    recipe = replace(RECIPE, micro_batch_size=1, gradient_accumulation_steps=3)
    processes = start(home, 2, *train_command(home, recipe))
    assert processes[0].wait(LONG_S) == 1
    assert processes[1].wait(LONG_S) == 3
    assert "2 processes do not divide a step of 3 micro batches of 1" in processes[0].stderr
    assert "error:" not in processes[1].output()


@pytest.mark.parametrize(
    ("size", "batches", "number", "share"),
    [(1, 16, 8, Share(1, 2)), (24, 1, 2, Share(12, 1)), (4, 3, 2, Share(2, 3))],
)
def test_share_keeps_the_step(size: int, batches: int, number: int, share: Share) -> None:
    recipe = replace(RECIPE, micro_batch_size=size, gradient_accumulation_steps=batches)
    assert share_of(recipe, number) == share
    assert share.sequences * number == size * batches


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"micro_batch_size": 1}, "1, 2, 4 would"),
        ({"method": "kto"}, "1, 2, 4 would"),
        ({"micro_batch_size": 2}, "--set gradient_accumulation_steps=6"),
    ],
)
def test_share_names_what_fits(changes: Mapping[str, object], advice: str) -> None:
    recipe = replace(RECIPE, gradient_accumulation_steps=4)
    number = 6 if "micro_batch_size" in changes else 8
    with pytest.raises(InvalidSettings, match="do not divide a step") as caught:
        share_of(replace(recipe, **changes), number)  # type: ignore[arg-type]
    assert advice in caught.value.message


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}, "FSDP2 with NF4 gives wrong"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "FSDP is not supported"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed is not supported"),
        (
            {"ACCELERATE_USE_PARALLELISM_CONFIG": "true", "PARALLELISM_CONFIG_TP_SIZE": "2"},
            "tensor parallelism is not supported",
        ),
    ],
)
def test_other_strategies_refused(environment: Mapping[str, str], named: str) -> None:
    with pytest.raises(InvalidSettings, match=named):
        check_strategy(environment, "nf4")


def test_launch_reads_environment() -> None:
    assert launch_of({}) == Launch()
    found = launch_of({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"})
    assert (found.rank, found.local_rank, found.number) == (3, 1, 4)
    with pytest.raises(InvalidSettings, match="RANK is not set"):
        launch_of({"WORLD_SIZE": "2"})
