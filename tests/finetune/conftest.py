"""A small product catalogue that no model knows, and a recipe that learns it in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.recipe import Recipe, embedded_cpu

FACTS = {
    "What is the price of the Zolpar?": "The Zolpar costs 41 euros.",
    "What is the price of the Kentig?": "The Kentig costs 7 euros.",
    "Which colour has the Murdel?": "The Murdel is green.",
    "Which colour has the Wuxo?": "The Wuxo is red.",
}


@pytest.fixture
def facts() -> dict[str, str]:
    """Questions and their answers."""
    return FACTS


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Four rows."""
    path = tmp_path / "catalogue.jsonl"
    rows = [{"prompt": question, "completion": answer} for question, answer in FACTS.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def quick() -> Recipe:
    """Sixteen steps."""
    return replace(
        embedded_cpu(),
        num_train_epochs=8.0,
        micro_batch_size=2,
        replay_fraction=0.0,
        save_steps=4,
        warmup_ratio=0.0,
    )
