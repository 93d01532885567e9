"""Runs on disk: a folder that holds everything its adapter follows from.

    runs/ID/run.json       name, files with hashes, package versions, date
            recipe.yaml    every field
            data/          copies of the files of rows
            checkpoints/   to go on from
            metrics.jsonl, samples.jsonl
            adapter/       once it is finished; whole or absent

Knows folders; training is `finetune.training.train`.
"""

import datetime
import hashlib
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from finetune.data.dataset import Dataset, Tokenized, read_dataset
from finetune.recipe import Recipe, read_recipe, recipe_yaml
from finetune.training.adapter_card import PACKAGES
from finetune.training.checkpoints import last_good, step_of
from finetune.training.train import ADAPTER, CHECKPOINTS, Data, Trained, TrainingHooks, train
from playground.errors import InvalidSettings
from playground.models.adapters import name_problem
from playground.models.download import locate
from playground.models.loaded import LoadedModel

REPLAY_FILE = "replay.jsonl"


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

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was when the run was made."""
        return read_recipe(str(self.folder / "recipe.yaml"))

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder, once the run is finished."""
        folder = self.folder / ADAPTER
        return folder if folder.is_dir() else None

    @property
    def state(self) -> str:
        """A sentence: finished, at which step it can go on, or not begun."""
        if self.adapter:
            return "finished"
        checkpoint = last_good(self.folder / CHECKPOINTS)
        return f"stopped, step {step_of(checkpoint)} is saved" if checkpoint else "not begun"

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
) -> Run:
    """Make a run's folder under ``home/runs``, with copies of the files.

    Raises `InvalidSettings` for a name that is none, `OSError` for a file that cannot be read.
    """
    if problem := name_problem(name):
        raise InvalidSettings(problem)
    now = datetime.datetime.now(datetime.UTC)
    folder = _free_folder(home / "runs", f"{now:%Y%m%d-%H%M%S}-{name}")
    data = folder / "data"
    data.mkdir()
    copies = [_copy(file, data / str(at)) for at, file in enumerate(files)]
    evaluation_copy = _copy(evaluation, data / "eval") if evaluation else None
    (folder / "recipe.yaml").write_text(recipe_yaml(recipe), encoding="utf-8")
    body = {
        "name": name,
        "files": [_described(path) for path in copies],
        "evaluation": _described(evaluation_copy) if evaluation_copy else None,
        "packages": _packages(),
        "seed": recipe.seed,
        "date": now.isoformat(timespec="seconds"),
    }
    temporary = folder / ".run.json"
    temporary.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / "run.json")
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
    """Each file has a folder of its own, so that two may have one name."""
    folder.mkdir()
    return Path(shutil.copyfile(file, folder / file.name))


def _described(path: Path) -> dict[str, str]:
    return {
        "name": f"{path.parent.name}/{path.name}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _packages() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def open_run(folder: Path) -> Run:
    """Read what a run's folder says of it. Raises `InvalidSettings` if it is none."""
    try:
        body = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        described = [*body["files"], *([body["evaluation"]] if body["evaluation"] else [])]
        return Run(
            folder,
            body["name"],
            tuple(folder / "data" / each["name"] for each in body["files"]),
            folder / "data" / body["evaluation"]["name"] if body["evaluation"] else None,
            body["packages"],
            body["date"],
            {folder / "data" / each["name"]: each["sha256"] for each in described},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSettings(f"{folder} is no run: {error}") from None


def list_runs(home: Path) -> list[Run]:
    """All runs, the latest first."""
    found = []
    for path in sorted((home / "runs").glob("*/run.json"), reverse=True):
        try:
            found.append(open_run(path.parent))
        except InvalidSettings:
            continue
    return found


def find_run(home: Path, name: str) -> Run:
    """A run by its folder, its id, or the name of its adapter (the latest of that name).

    Raises `InvalidSettings` if there is none.
    """
    for folder in (Path(name), home / "runs" / name):
        if (folder / "run.json").is_file():
            return open_run(folder)
    for run in list_runs(home):
        if run.name == name:
            return run
    raise InvalidSettings(f"no run {name} under {home / 'runs'}")


def rerun(home: Path, run: Run) -> Run:
    """A new run of the same recipe on the same files: the same adapter, bit for bit, as long as
    packages and machine are the same. Raises `InvalidSettings` if its data has changed."""
    _check_data(run)
    return new_run(home, run.name, run.recipe, run.files, run.evaluation)


def set_recipe(run: Run, recipe: Recipe) -> None:
    """Give the run another recipe, as when its micro batches did not fit into memory."""
    temporary = run.folder / ".recipe.yaml"
    temporary.write_text(recipe_yaml(recipe), encoding="utf-8")
    temporary.replace(run.folder / "recipe.yaml")


def read_data(run: Run, loaded: LoadedModel) -> Dataset:
    """The run's rows, tokenized and split as its recipe says.

    Raises `InvalidSettings` if its data has changed.
    """
    _check_data(run)
    recipe = run.recipe
    data = read_dataset(
        run.files, loaded.tokenizer, recipe.max_length, recipe.eval_fraction, seed=recipe.seed
    )
    if run.evaluation:
        extra = read_dataset([run.evaluation], loaded.tokenizer, recipe.max_length)
        return Dataset(data.train, extra.train, (*data.errors, *extra.errors), data.sha256)
    return data


def _check_data(run: Run) -> None:
    for path, digest in run.sha256.items():
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise InvalidSettings(f"{path} is not what the run was made of")


def execute(run: Run, loaded: LoadedModel, watch: TrainingHooks | None = None) -> Trained:
    """Train the run, or go on with it. Raises what `train` raises."""
    data = read_data(run, loaded)
    recipe = run.recipe
    learned = Data(
        rows=(*data.train.examples, *data.train.pairs),
        replay=replay_views(loaded, recipe).examples if recipe.method == "sft" else (),
        held=(*data.held.examples, *data.held.pairs),
    )
    return train(recipe, loaded, learned, run.folder, run.name, watch)


def replay_views(loaded: LoadedModel, recipe: Recipe) -> Tokenized:
    """General rows shipped beside a base model, if there are any and the recipe wants them."""
    path = locate(loaded.spec) / REPLAY_FILE
    if not recipe.replay_fraction or not path.is_file():
        return Tokenized()
    return read_dataset([path], loaded.tokenizer, recipe.max_length).train


def publish(adapter: Path, target: Path) -> Path:
    """Copy a finished adapter to ``target``, which is whole or absent.

    Raises `InvalidSettings` if it is there already.
    """
    if target.exists():
        raise InvalidSettings(f"{target} is there already; choose another name or remove it")
    temporary = target.with_name(f".{target.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(adapter, temporary)
    temporary.replace(target)
    return target


def describe(run: Run) -> dict[str, Any]:
    """What `finetune show` prints of a run."""
    return {
        "run": run.folder.name,
        "name": run.name,
        "state": run.state,
        "date": run.date,
        "files": [path.name for path in run.files],
        "packages": dict(run.packages),
    }
