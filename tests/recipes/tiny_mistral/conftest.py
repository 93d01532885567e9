"""A small tokenizer and renderer that every test of the recipe shares."""

from pathlib import Path

import pytest

from recipes.tiny_mistral import tokenizer
from recipes.tiny_mistral.rendering import Renderer


@pytest.fixture(scope="session")
def tekken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embedded") / "tekken.json"
    tokenizer.build(path, vocabulary=1024, rows=1500, seed=1)
    return path


@pytest.fixture(scope="session")
def renderer(tekken: Path) -> Renderer:
    return Renderer(tekken)
