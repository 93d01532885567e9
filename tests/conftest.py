"""What every room's tests may need: one trained adapter."""

import shutil
from pathlib import Path

import pytest

from tests.trained import train_adapter


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that train."""
    config.addinivalue_line("markers", "training: trains an adapter")


@pytest.fixture(scope="session")
def session_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the session's one adapter, of `tests.trained.FACTS`; not to be written to."""
    return train_adapter(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def trained_adapter(session_adapter: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(session_adapter, tmp_path / "trained-adapter"))
