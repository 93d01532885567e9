"""What every room's tests may need: one trained adapter, and a small product catalogue."""

import gc
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# How many examples a property is tried on, unless it says so itself; before a release:
# make test ARGS="--hypothesis-profile=thorough".
settings.register_profile("suite", max_examples=100, deadline=None)
settings.register_profile("thorough", max_examples=2_000, deadline=None)
settings.load_profile("suite")

# Tests run side by side in processes; torch's threads on top of them made the suite twice as slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The model that needs no download, where a command is not told which; the default one does.
os.environ.setdefault("PLAYGROUND_MODEL__NAME", "embedded")

gc.disable()  # until all is imported: collections in between took a fifth of the start


def pytest_collection_finish() -> None:
    """Leave what was imported out of all later collections, as serving does."""
    gc.freeze()
    gc.enable()


if TYPE_CHECKING:
    from finetune.recipe import Recipe

CATALOGUE_FACTS = {
    "What is the price of the Zolpar?": "The Zolpar costs 41 euros.",
    "What is the price of the Kentig?": "The Kentig costs 7 euros.",
    "Which colour has the Murdel?": "The Murdel is green.",
    "Which colour has the Wuxo?": "The Wuxo is red.",
}


@pytest.fixture(scope="session")
def session_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the session's one adapter, of `tests.trained.FACTS`; not to be written to."""
    from tests.trained import train_adapter  # this file is also loaded where no test runs

    return train_adapter(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def trained_adapter(session_adapter: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(session_adapter, tmp_path / "trained-adapter"))


@pytest.fixture
def facts() -> dict[str, str]:
    """Questions and their answers."""
    return CATALOGUE_FACTS


def write_catalogue(folder: Path) -> Path:
    """Write four rows."""
    path = folder / "catalogue.jsonl"
    rows = [
        {"prompt": question, "completion": answer} for question, answer in CATALOGUE_FACTS.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Four rows."""
    return write_catalogue(tmp_path)


@pytest.fixture(scope="session")
def quick() -> "Recipe":
    """Eight steps."""
    from finetune.recipe import embedded_cpu

    return replace(
        embedded_cpu(),
        num_train_epochs=4.0,
        micro_batch_size=2,
        replay_fraction=0.0,
        save_steps=2,
        warmup_ratio=0.0,
    )
