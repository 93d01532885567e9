"""One engine for the tests that change nothing about it."""

from collections.abc import Iterator

import pytest

from playground.engine import Engine
from playground.models.loaded import LoadedModel


@pytest.fixture(scope="session")
def engine(loaded: LoadedModel) -> Iterator[Engine]:
    with Engine(loaded) as running:
        yield running
