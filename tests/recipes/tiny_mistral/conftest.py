"""A small tokenizer, renderer and recipe that the recipe's tests share."""

from dataclasses import replace
from pathlib import Path

import pytest

from recipes.tiny_mistral import tokenizer
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.rendering import Renderer


@pytest.fixture(scope="session")
def tekken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embedded") / "tekken.json"
    tokenizer.build(path, vocab_size=1024, rows=1500, seed=1)
    return path


@pytest.fixture(scope="session")
def renderer(tekken: Path) -> Renderer:
    return Renderer(tekken)


@pytest.fixture(scope="session")
def tiny_recipe() -> PretrainingRecipe:
    """Small enough for a test: it shows that the steps work, not that the model learns."""
    return replace(
        PretrainingRecipe(),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        batch_tokens=256,
        max_length=128,
        chunk_rows=24,
    ).scaled_to(8)
