"""`finetune plan`, `train`, `resume`, `rerun`."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from finetune.commands.common import (
    BAD_INPUT,
    FAILED_RUN,
    Columns,
    EvalFraction,
    EvaluationFile,
    MaxLength,
    Model,
    RecipeName,
    RowsFiles,
    Set,
    base_of,
    check_job,
    home,
    recipe_changes,
    recipe_of,
    show_progress,
    tokenizer_of,
)

if TYPE_CHECKING:
    from finetune.recipe import Recipe
    from finetune.training.hooks import Log, Trained, TrainingHooks
    from finetune.training.processes import Processes
    from playground.models.loaded import LoadedModel
    from playground.studio.runs import Run

REPORTED = ("step", "steps", "loss", "eval_loss", "learning_rate", "epoch", "seconds_left")
GIB = 2**30
PRINTED_EVERY = 10
Out = Annotated[
    Path | None,
    typer.Option(help="The adapter's folder, instead of a new version of its name in the store."),
]
RunName = Annotated[str, typer.Argument(help="A run's folder or id, or its adapter's name.")]


def plan(
    recipe: RecipeName = "mistral_small_24b_qlora",
    model: Model = None,
    max_length: MaxLength = None,
    changes: Set = None,
    available: Annotated[
        float | None, typer.Option(min=0.1, help="GiB to plan for; by default what is free here.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes, a GPU each, that divide a step (DDP).")
    ] = 1,
) -> None:
    """Print how much memory training takes, before anything is loaded, and what would fit."""
    from finetune.training.plan import gradient_bytes
    from finetune.training.plan import plan as plan_training
    from playground.models.config import choose_device
    from playground.models.plan import available_bytes

    chosen = recipe_of(recipe, recipe_changes(changes, base_model=model, max_length=max_length))
    plan = plan_training(chosen, home=home(), processes=processes)
    free = round(available * GIB) if available else available_bytes(choose_device("auto"))
    table = Table("part", "GiB")
    for name, value in plan.rows():
        table.add_row(name, f"{value / GIB:,.2f}")
    Console().print(table)
    if processes > 1:
        print(_divided(chosen, processes))
        exchanged = gradient_bytes(plan) / 1e6
        print(f"each holds all of the above, and sends {exchanged:,.0f} MB of gradients a step")
    fits = "fits" if plan.fits(free) else "does not fit"
    print(f"{fits} into {free / GIB:,.1f} GiB")
    tokens = plan.largest_micro_batch(free)
    if not tokens:
        print("not even one token a micro batch fits; use another quantization or rank")
        return
    print(
        f"largest that fits: a row of {tokens:,} tokens with batch 1, "
        f"or batch {tokens // chosen.max_length} with rows of {chosen.max_length:,}"
    )


def train(
    files: RowsFiles,
    name: Annotated[str, typer.Option(help="The adapter's name.")],
    recipe: RecipeName = None,
    model: Model = None,
    max_length: MaxLength = None,
    eval_fraction: EvalFraction = None,
    evaluation: EvaluationFile = None,
    num_train_epochs: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    lora_r: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    changes: Set = None,
    columns: Columns = None,
    out: Out = None,
) -> None:
    """Train a LoRA adapter on files of rows, make its report card, and put both into the store.

    It is promoted if its card says so, which takes held-out rows (--eval-fraction, --eval).
    SIGTERM and Ctrl-C save a checkpoint and exit with 0; `finetune resume` goes on from it.
    """
    from finetune.commands.data import print_findings
    from finetune.data.dataset import PrepareHooks, prepare
    from finetune.data.formats import read_columns
    from finetune.report import report
    from finetune.training.duration import duration_text
    from finetune.training.processes import check_strategy, launch_of
    from finetune.training.share import share_of
    from playground.errors import InvalidSettings
    from playground.studio.runs import new_run

    options = {
        "base_model": model,
        "max_length": max_length,
        "eval_fraction": eval_fraction,
        "num_train_epochs": num_train_epochs,
        "learning_rate": learning_rate,
        "lora_r": lora_r,
        "seed": seed,
    }

    def new() -> "Run":
        chosen = recipe_of(recipe, recipe_changes(changes, **options))
        check_strategy(os.environ, chosen.quantization)
        share_of(chosen, launch_of(os.environ).number)
        if out and out.exists():
            raise InvalidSettings(f"{out} is there already; choose another name or remove it")
        if out and chosen.eval_tasks:
            raise InvalidSettings("recipe.eval_tasks: --out makes no report card; leave one out")
        check_job(name, chosen)
        mapping = read_columns(columns)
        tokenizer = tokenizer_of(chosen.base_model)
        dataset = prepare(
            files, tokenizer, home(), evaluation, mapping, PrepareHooks(show_progress)
        )
        checked = report(dataset, chosen)
        print_findings(checked, sys.stderr)
        if checked.problems:
            raise typer.Exit(BAD_INPUT)
        print(
            f"{checked.num_trained:,} training examples, "
            f"{checked.num_trained_tokens:,} trained tokens, {checked.num_errors:,} errors, "
            f"about {checked.steps} steps in {duration_text(checked.seconds)}"
        )
        return new_run(home(), name, chosen, files, evaluation, mapping)

    _execute(new, out, is_new=True)


def resume(run: RunName, out: Out = None) -> None:
    """Resume a run that was stopped or killed, from its last complete checkpoint.

    As many processes as divide the recipe's step may do so, not only as many as began it.
    """
    from playground.errors import InvalidSettings
    from playground.studio.runs import find_run

    def stored() -> "Run":
        found = find_run(home(), run)
        if found.adapter:
            raise InvalidSettings(f"run {found.folder.name} is finished")
        _check_launch(found)
        return found

    _execute(stored, out)


def rerun(run: RunName, out: Out = None) -> None:
    """Train again from a run's folder: same recipe, same rows, same seed, the same adapter."""
    from playground.studio.runs import find_run
    from playground.studio.runs import rerun as run_again

    def again() -> "Run":
        stored = find_run(home(), run)
        _check_launch(stored)
        return run_again(home(), stored)

    _execute(again, out, is_new=True, promote=False)


def _check_launch(run: "Run") -> None:
    """Refuse what cannot train a run that is there already, its name or its public tasks; warn of
    other packages."""
    from finetune.training.processes import check_strategy, launch_of
    from finetune.training.share import share_of

    recipe = run.recipe
    check_strategy(os.environ, recipe.quantization)
    share_of(recipe, launch_of(os.environ).number)
    check_job(run.name, recipe)
    _warn_of_packages(run)


def _warn_of_packages(run: "Run") -> None:
    for change in run.changed_packages():
        print(f"warning: another version than the run's: {change}", file=sys.stderr)


def _print_log(values: "Log") -> None:
    """Print a line every tenth step and at each evaluation; names are dim on a terminal."""
    if "eval_loss" not in values and values["step"] % PRINTED_EVERY:
        return
    shown = [f"[dim]{key}[/] {values[key]:.4g}" for key in REPORTED if key in values]
    Console(highlight=False).print("  ".join(shown))


def _execute(
    find: "Callable[[], Run]", out: Path | None, *, is_new: bool = False, promote: bool = True
) -> None:
    """Train the run that ``find`` returns, in all processes; publish it in the first."""
    from finetune.training.hooks import TrainingHooks
    from finetune.training.processes import joined, launch_of
    from playground.errors import PlaygroundError
    from playground.studio.runs import open_run

    hooks = TrainingHooks(on_log=_print_log)
    label = launch_of(os.environ).label
    try:
        with joined(os.environ) as processes:
            folder = processes.on_first(lambda: find().folder)
            _stop_on_signals(hooks.stop_event)
            trained = _train(open_run(folder), processes, hooks, is_new=is_new)
            is_first = processes.is_first
    except (PlaygroundError, typer.Exit):
        raise
    except Exception as error:
        print(f"error: {label}the run failed: {type(error).__name__}: {error}", file=sys.stderr)
        raise typer.Exit(FAILED_RUN) from error
    if is_first:
        _finish(trained, out, hooks.stop_event, promote=promote)


def _stop_on_signals(event: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C save a checkpoint and end the run."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        event.set()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, stop)


def _train(
    run: "Run", processes: "Processes", hooks: "TrainingHooks", *, is_new: bool
) -> "tuple[Run, LoadedModel, Trained]":
    from playground.errors import PlaygroundError
    from playground.studio.runs import discarded_if_nothing_saved, execute, has_saved

    keeping = processes.is_first and is_new
    with discarded_if_nothing_saved(run) if keeping else nullcontext():
        if processes.is_first:
            print(f"run {run.folder.name}")
            if processes.number > 1:
                print(_divided(run.recipe, processes.number))
        loaded = base_of(run.recipe, processes)
        try:
            return run, loaded, execute(run, loaded, hooks, processes)
        except PlaygroundError:
            raise
        except Exception:
            if processes.is_first and has_saved(run):
                print(f"what is saved stays: finetune resume {run.folder.name}", file=sys.stderr)
            raise


def _divided(recipe: "Recipe", number: int) -> str:
    """Say what each of several processes does of a step."""
    from finetune.training.share import share_of

    share = share_of(recipe, number)
    total = recipe.micro_batch_size * recipe.gradient_accumulation_steps
    return (
        f"{number} processes, each with the whole base and {share.sequences} of a step's {total} "
        f"sequences: {share.gradient_accumulation_steps} micro batches of {share.micro_batch_size}"
    )


def _finish(
    trained: "tuple[Run, LoadedModel, Trained]",
    out: Path | None,
    stop_event: threading.Event,
    *,
    promote: bool,
) -> None:
    """Say how far the run came, and put its adapter where it belongs."""
    from playground.studio.runs import copy_adapter

    run, loaded, done = trained
    if done.folder is None:
        print(f"stopped after step {done.steps}; go on: finetune resume {run.folder.name}")
        return
    if out:
        folder = copy_adapter(done.folder, out)
    else:
        folder = _into_store(run, loaded, stop_event, promote=promote)
    print(f"{folder}: {done.steps} steps, loss {done.loss:.4f}, {done.seconds:.0f} s")


def _into_store(
    run: "Run", loaded: "LoadedModel", stop_event: threading.Event, *, promote: bool
) -> Path:
    """Publish the adapter with its report card, and promote it if the card says so."""
    from playground.backends.local import LocalBackend
    from playground.errors import PlaygroundError
    from playground.evaluation.report_card import EvaluationStopped
    from playground.models.shared_weights import shared_weight_copy
    from playground.settings import load_settings
    from playground.store.adapters import AdapterStore
    from playground.studio.training_work import (
        MAX_JUDGED_ROWS,
        PROMOTE,
        adapter_of,
        make_run_card,
    )

    store, verdict = AdapterStore(home() / "adapters"), ""
    print("report card …")
    try:
        with LocalBackend(loaded) as host:
            copy = shared_weight_copy(loaded)
            folders = load_settings().sweeps.task_folders
            card, _ = make_run_card(run, copy, host, store, MAX_JUDGED_ROWS, stop_event, folders)
        verdict = card.verdict
        told = [*card.reasons, *map(str, card.advice), *(each.sentence for each in card.tasks)]
        print("\n".join([f"verdict: {verdict}", *(f"  {line}" for line in told)]))
    except EvaluationStopped:
        print("no report card: stopped")
    except PlaygroundError as error:
        print(f"no report card: {error.message}")
    version = store.publish(adapter_of(run), run.name)
    label = f"{version.name} {version.version}"
    if promote and verdict == PROMOTE:
        store.promote(version.name, version.version)
        print(f"promoted: {label}")
    else:
        print(f"not promoted; to do it all the same: finetune promote {label}")
    return version.folder
