"""The memory plan agrees with what is known of the 24B, and says what fits."""

from dataclasses import replace

import pytest
import torch

from finetune.recipe import mistral_small_24b_qlora
from finetune.training.plan import gradient_bytes, plan, plan_for
from playground.models.catalogue import find

GIB = 2**30
RUNTIME = round(0.7 * GIB)


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"max_length": 2048}, 18.4),
        ({"max_length": 4096}, 20.4),
        ({"max_length": 8192}, 24.4),
        ({"max_length": 2048, "micro_batch_size": 2, "lora_r": 32}, 21.2),
    ],
)
def test_plan_agrees_with_known_sums(changes: dict[str, int], total: float) -> None:
    entry = find("mistral-small")
    assert entry
    assert entry.config
    recipe = replace(mistral_small_24b_qlora(), **changes)  # type: ignore[arg-type]
    found = replace(plan_for(recipe, entry.config(), torch.device("cuda")), runtime=RUNTIME)
    assert found.total / GIB == pytest.approx(total, abs=0.06)
    largest = found.largest_micro_batch(24 * GIB)
    assert replace(found, tokens=largest).fits(24 * GIB)
    assert not replace(found, tokens=largest + 1).fits(24 * GIB)


def test_processes_hold_parts_of_a_batch() -> None:
    recipe = replace(mistral_small_24b_qlora(), micro_batch_size=4, gradient_accumulation_steps=1)
    alone, each = plan(recipe), plan(recipe, processes=2)
    assert each.tokens * 2 == alone.tokens
    assert (each.weights, each.adapter) == (alone.weights, alone.adapter)
    assert gradient_bytes(each) == 4 * 92_405_760
