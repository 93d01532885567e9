"""How many epochs a recipe that leaves them open takes."""

from dataclasses import replace
from typing import Literal

import pytest

from finetune.recipe import embedded_cpu
from finetune.training.schedule import epochs_of, num_steps, schedule_epochs

OPEN = replace(embedded_cpu(), num_train_epochs=0.0, replay_fraction=0.0)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(1, 60), (30, 55), (120, 24), (615, 9), (100_000, 3), (0, 3)]
)
def test_open_epochs_follow_rows(rows: int, epochs: float) -> None:
    assert epochs_of(OPEN, rows) == epochs


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize(
    ("rows", "epochs"), [(1, 3), (1_000, 3), (1_500, 2), (3_000, 1), (9**6, 1)]
)
def test_open_epochs_of_preferences_few(
    method: Literal["dpo", "kto"], rows: int, epochs: float
) -> None:
    assert epochs_of(replace(OPEN, method=method), rows) == epochs


def test_given_epochs_hold() -> None:
    assert epochs_of(replace(OPEN, num_train_epochs=2.5), 120) == 2.5


def test_plan_and_run_agree() -> None:
    rows = [f"row {number}" for number in range(120)]
    sequences = schedule_epochs(OPEN, rows, [], len)
    assert len(sequences) == 24 * 120
    assert num_steps(OPEN, [10] * 120) == 24 * 120 / OPEN.micro_batch_size
