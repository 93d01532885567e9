"""Runs on disk: a folder that holds everything that an adapter is made of.

    runs/ID/run.json       name, files with hashes, columns, package versions, date
            recipe.yaml    every field
            data.sha256    hash of the tokens that it trains on
            data/          copies of the files of rows
            checkpoints/   to resume from
            metrics.jsonl, samples.jsonl
            adapter/       once it is finished; whole or absent

Knows folders; training is `finetune.training.train`.
"""

import datetime
import hashlib
import json
import platform
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from finetune.child_process import NICENESS
from finetune.data.dataset import Dataset, PrepareHooks, TrainingData, prepare
from finetune.data.formats import NO_COLUMNS
from finetune.methods import method_of
from finetune.recipe import Recipe, read_recorded, recipe_yaml
from finetune.training.adapter_card import PACKAGES
from finetune.training.checkpoints import (
    ADAPTER_FOLDER,
    CHECKPOINTS_FOLDER,
    RECIPE_FILE,
    last_complete,
    step_of,
)
from finetune.training.hooks import Trained, TrainingHooks
from finetune.training.processes import ALONE, Processes
from playground.errors import InvalidSettings
from playground.files import atomic_folder, write_atomic
from playground.jobs.job import read_job
from playground.models.adapters import name_problem
from playground.models.loaded import LoadedModel
from playground.studio.run_lock import training_lock

REPLAY_FILE = "replay.jsonl"
RUNS_FOLDER, RUN_FILE = "runs", "run.json"


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder and what its ``run.json`` says."""

    folder: Path
    name: str
    files: tuple[Path, ...]
    evaluation: Path | None
    packages: Mapping[str, str]
    date: str
    sha256: Mapping[Path, str]
    columns: Mapping[str, str]

    @property
    def home(self) -> Path:
        """``PLAYGROUND_HOME`` for data sets; a run that was moved elsewhere keeps its own."""
        parent = self.folder.resolve().parent
        return parent.parent if parent.name == RUNS_FOLDER else self.folder

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was when the run was made."""
        return read_recorded(self.folder / RECIPE_FILE)

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder, once the run is finished."""
        folder = self.folder / ADAPTER_FOLDER
        return folder if folder.is_dir() else None

    @property
    def state(self) -> str:
        """For people: finished, failed (as a job of a server), at which step it can resume, or not
        begun."""
        if self.adapter:
            return "finished"
        job = read_job(self.folder)
        failed = job is not None and job.state == "failed"
        if checkpoint := last_complete(self.folder / CHECKPOINTS_FOLDER):
            ended = "failed" if failed else "stopped"
            return f"{ended}, step {step_of(checkpoint)} is saved"
        return "failed" if failed else "not begun"

    def changed_packages(self) -> list[str]:
        """Packages whose version differs from the run's: its adapter may come out different."""
        now = _packages()
        return [
            f"{name} {self.packages.get(name)} → {now[name]}"
            for name in now
            if self.packages.get(name) != now[name]
        ]


def new_run(
    home: Path,
    name: str,
    recipe: Recipe,
    files: Sequence[Path],
    evaluation: Path | None = None,
    columns: Mapping[str, str] = NO_COLUMNS,
) -> Run:
    """Make a run's folder under ``home/runs``, with copies of the files and the mapping of their
    columns.

    Raises `InvalidSettings` for an invalid name, `OSError` for a file that cannot be read.
    """
    if problem := name_problem(name):
        raise InvalidSettings(problem)
    now = datetime.datetime.now(datetime.UTC)
    folder = _free_folder(home / RUNS_FOLDER, f"{now:%Y%m%d-%H%M%S}-{name}")
    data = folder / "data"
    data.mkdir()
    copies = [_copy(file, data / str(at)) for at, file in enumerate(files)]
    evaluation_copy = _copy(evaluation, data / "eval") if evaluation else None
    write_atomic(folder / RECIPE_FILE, recipe_yaml(recipe))
    body = {
        "name": name,
        "files": [_described(path) for path in copies],
        "evaluation": _described(evaluation_copy) if evaluation_copy else None,
        "columns": dict(columns),
        "packages": _packages(),
        "seed": recipe.seed,
        "date": now.isoformat(timespec="seconds"),
    }
    write_atomic(folder / RUN_FILE, json.dumps(body, indent=1) + "\n")
    return open_run(folder)


def _free_folder(runs: Path, name: str) -> Path:
    for number in range(1, 1000):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise InvalidSettings(f"{runs / name} is there already")


def _copy(file: Path, folder: Path) -> Path:
    """Copy into a folder of the file's own, so that two files may have the same name."""
    folder.mkdir()
    return Path(shutil.copyfile(file, folder / file.name))


def _described(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": f"{path.parent.name}/{path.name}", "sha256": digest}


def _packages() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def open_run(folder: Path) -> Run:
    """Open a run's folder. Raises `InvalidSettings` if it is none."""
    try:
        body = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        described = [*body["files"], *([body["evaluation"]] if body["evaluation"] else [])]
        return Run(
            folder,
            body["name"],
            tuple(folder / "data" / file["name"] for file in body["files"]),
            folder / "data" / body["evaluation"]["name"] if body["evaluation"] else None,
            body["packages"],
            body["date"],
            {folder / "data" / file["name"]: file["sha256"] for file in described},
            body.get("columns", NO_COLUMNS),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSettings(f"{folder} is no run: {error}") from None


def list_runs(home: Path) -> list[Run]:
    """Return all runs, the latest first."""
    runs = []
    for path in sorted((home / RUNS_FOLDER).glob(f"*/{RUN_FILE}"), reverse=True):
        try:
            runs.append(open_run(path.parent))
        except InvalidSettings:
            continue
    return runs


def find_run(home: Path, name: str) -> Run:
    """Find a run by its folder, its id, or the name of its adapter (the latest of that name).

    Raises `InvalidSettings` if there is none.
    """
    for folder in (Path(name), home / RUNS_FOLDER / name):
        if (folder / RUN_FILE).is_file():
            return open_run(folder)
    for run in list_runs(home):
        if run.name == name:
            return run
    raise InvalidSettings(f"no run {name} under {home / 'runs'}")


def rerun(home: Path, run: Run) -> Run:
    """Make a new run of the same recipe on the same files: it gives the same adapter, bit for bit,
    as long as packages and machine are the same. Raises `InvalidSettings` if its data has changed.
    """
    for path, digest in run.sha256.items():
        _check_unchanged(path, _described(path)["sha256"], digest)
    return new_run(home, run.name, run.recipe, run.files, run.evaluation, run.columns)


def set_recipe(run: Run, recipe: Recipe) -> None:
    """Give the run another recipe, as when its micro batches did not fit into memory."""
    write_atomic(run.folder / RECIPE_FILE, recipe_yaml(recipe))


def open_dataset(
    run: Run, loaded: LoadedModel, stop_event: threading.Event | None = None
) -> Dataset:
    """Return the data set of the run's files: the one that was checked before, if it is still kept.

    Raises `InvalidSettings` if a file has changed, `WorkStopped` once the event is set.
    """
    hooks = PrepareHooks(stop_event=stop_event, niceness=NICENESS)
    dataset = prepare(run.files, loaded.tokenizer, run.home, run.evaluation, run.columns, hooks)
    for path, file in zip(run.sha256, dataset.manifest.files, strict=True):
        _check_unchanged(path, file.sha256, run.sha256[path])
    return dataset


def _check_unchanged(path: Path, sha256: str, recorded: str) -> None:
    if sha256 != recorded:
        raise InvalidSettings(f"{path} is not what the run was made of")


def training_data(run: Run, loaded: LoadedModel) -> TrainingData:
    """Select what the run trains on. Raises `InvalidSettings` if a file has changed."""
    data = open_dataset(run, loaded).select(run.recipe)
    replay = replay_data(run, loaded) if method_of(run.recipe).uses_replay else None
    return data.with_replay(replay) if replay else data


def replay_data(run: Run, loaded: LoadedModel) -> TrainingData | None:
    """Return the general rows beside the base model, if there are any and the recipe wants them."""
    path = loaded.folder / REPLAY_FILE
    if not run.recipe.replay_fraction or not path.is_file():
        return None
    recipe = replace(run.recipe, eval_fraction=0.0)
    return prepare([path], loaded.tokenizer, run.home).select(recipe)


def execute(
    run: Run,
    loaded: LoadedModel,
    hooks: TrainingHooks | None = None,
    processes: Processes = ALONE,
) -> Trained:
    """Train the run, or resume it, in all ``processes``. Raises what `train` raises.

    While another process trains in the same home it waits, if the hooks have an ``on_wait``; it
    raises `Conflict` otherwise. The first of several takes the lock for all.
    """
    from finetune.training.train import train  # the training libraries take seconds to import

    hooks = hooks or TrainingHooks()
    runs = run.folder.resolve().parent
    home = runs if runs.name == RUNS_FOLDER else None
    with ExitStack() as held:

        def begin() -> bool:
            lock = training_lock(run.folder, home, hooks.stop_event, hooks.on_wait)
            if not held.enter_context(lock) or run.adapter:
                return False
            if processes.number > 1:
                open_dataset(run, loaded)  # made once, for the others to open
            return True

        if not processes.on_first(begin):
            return Trained(run.adapter, 0, 0.0, 0.0)
        data = training_data(run, loaded)
        return train(run.recipe, loaded, data, run.folder, run.name, hooks, processes)


def copy_adapter(adapter: Path, target: Path) -> Path:
    """Copy a finished adapter to ``target``, which is whole or absent.

    Raises `InvalidSettings` if it is there already.
    """
    try:
        with atomic_folder(target) as folder:
            shutil.copytree(adapter, folder, dirs_exist_ok=True)
    except FileExistsError:
        raise InvalidSettings(
            f"{target} is there already; choose another name or remove it"
        ) from None
    return target


def has_saved(run: Run) -> bool:
    """Return whether anything came of the run that resuming could use."""
    return bool(run.adapter or last_complete(run.folder / CHECKPOINTS_FOLDER))


@contextmanager
def discarded_if_nothing_saved(run: Run) -> Iterator[None]:
    """Remove a new run's folder if the block fails before anything is saved."""
    try:
        yield
    except BaseException:
        if not has_saved(run):
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


def describe(run: Run) -> dict[str, object]:
    """Return what `finetune show` prints of a run."""
    return {
        "run": run.folder.name,
        "name": run.name,
        "state": run.state,
        "date": run.date,
        "files": [path.name for path in run.files],
        "packages": dict(run.packages),
    }
