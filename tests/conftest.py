"""What every room's tests may need: one trained adapter, and a small product catalogue."""

import gc
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest
from hypothesis import settings

from playground.runtime import quiet_libraries, replaced_at_import

# How many examples a property is tried on, unless it says so itself; before a release:
# make test ARGS="--hypothesis-profile=thorough".
settings.register_profile("suite", max_examples=100, deadline=None)
settings.register_profile("thorough", max_examples=2_000, deadline=None)
settings.load_profile("suite")

# Tests run side by side in processes; torch's threads on top of them made the suite twice as slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The model that needs no download, where a command is not told which; the default one does.
os.environ.setdefault("PLAYGROUND_MODEL__NAME", "embedded")

quiet_libraries()  # as every command does

gc.disable()  # until all is imported: collections in between took a fifth of the start


# lm-eval takes more disk than all else that developing needs: `make test-eval` installs it.
HARNESS_TESTS = "playground/harness"
collect_ignore = [] if find_spec("lm_eval") else [HARNESS_TESTS]


def pytest_report_header() -> str | None:
    return "without lm-eval: its tests are run by `make test-eval`" if collect_ignore else None


BROWSER_TESTS = "tests/playground/ui/browser/"
SECONDS = {"notebook": 20.0, "training": 6.0, "browser": 4.0, "slow": 2.0}
"""About what a test with such a mark takes; others take hundredths of one."""


def together(nodeid: str) -> str:
    """Return what the tests of one process share with this one: a file, all of the browser."""
    return BROWSER_TESTS if nodeid.startswith(BROWSER_TESTS) else nodeid.partition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is alone with it at the end."""
    lasting: defaultdict[str, float] = defaultdict(float)
    for item in items:
        lasting[together(item.nodeid)] += max(
            (SECONDS[mark.name] for mark in item.iter_markers() if mark.name in SECONDS),
            default=0.05,
        )
    items.sort(key=lambda item: (-lasting[together(item.nodeid)], together(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling":
    """Let one process have all tests of the browser: they share it, and the servers behind it."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Leave what was imported out of all later collections, as serving does."""
    gc.freeze()
    gc.enable()


WHILE_TESTING = ExitStack()


def one_authority() -> str:
    """Return a file with one authority's certificate. Each HTTP client reads all that it is given:
    certifi's take 15 to 30 ms, thousands of times, and no test speaks TLS.
    """
    folder = WHILE_TESTING.enter_context(tempfile.TemporaryDirectory(prefix="authority-"))
    end = "-----END CERTIFICATE-----\n"
    file = Path(folder) / "one.pem"
    file.write_text(certifi.contents().partition(end)[0] + end, encoding="utf-8")
    return str(file)


os.environ["SSL_CERT_FILE"] = one_authority()

# At each import Gradio parses its own source to write type stubs beside it (6.31), for seconds.
WHILE_TESTING.enter_context(
    replaced_at_import("gradio.component_meta", "create_or_modify_pyi", lambda *_: None)
)


if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

    from finetune.recipe import Recipe

CATALOGUE_FACTS = {
    "What is the price of the Zolpar?": "The Zolpar costs 41 euros.",
    "What is the price of the Kentig?": "The Kentig costs 7 euros.",
    "Which colour has the Murdel?": "The Murdel is green.",
    "Which colour has the Wuxo?": "The Wuxo is red.",
}


def pytest_unconfigure() -> None:
    WHILE_TESTING.close()


@pytest.fixture(scope="session", autouse=True)
def database_migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let a home without a database get a copy of one that was migrated once a session."""
    from playground.store import database

    opened, template = database.open_database, tmp_path_factory.mktemp("database")
    opened(template).dispose()

    def open_copy(home: Path, url: str = "", **options: float) -> object:
        if not url and not (home / database.DATABASE_FILE).exists():
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home) as folder, suppress(FileExistsError):
                copy = shutil.copy(template / database.DATABASE_FILE, folder)
                os.link(copy, home / database.DATABASE_FILE)
        return opened(home, url, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "open_database", open_copy)
        yield


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Gives new homes in which the general rows of the embedded model are tokenized already: most
    recipes mix 1,200 of them in, and report cards ask others.
    """
    from finetune.data.dataset import prepare
    from playground.models.catalogue import EMBEDDED_FOLDER
    from playground.models.loader import load_tokenizer
    from playground.studio.evaluation_rows import REGRESSION_FILE
    from playground.studio.runs import REPLAY_FILE

    made = tmp_path_factory.mktemp("general")
    for file in (REPLAY_FILE, REGRESSION_FILE):
        prepare([EMBEDDED_FOLDER / file], load_tokenizer(EMBEDDED_FOLDER), made)

    def copied() -> Path:
        return Path(shutil.copytree(made, tmp_path_factory.mktemp("home"), dirs_exist_ok=True))

    return copied


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
