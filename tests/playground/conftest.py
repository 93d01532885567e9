"""The embedded model, loaded once for every test that talks to it."""

from collections.abc import Iterator

import pytest

from playground.engine import Engine
from playground.models.catalogue import find
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import ModelInfo


@pytest.fixture(scope="session")
def loaded() -> LoadedModel:
    """The model that ships in the package, as `playground` loads it."""
    return load(ModelSpec("embedded"))


@pytest.fixture(scope="session")
def engine(loaded: LoadedModel) -> Iterator[Engine]:
    """An engine over it."""
    entry = find("embedded")
    assert entry is not None
    info = ModelInfo(loaded.name, loaded.context_length, defaults=entry.sampling, created=1)
    with Engine(loaded, info) as running:
        yield running
