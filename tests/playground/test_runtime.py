"""`playground.runtime`: what a full collection still visits."""

import gc
from collections.abc import Callable

import pytest

from playground.runtime import collect_as_usual, delay_collection, freeze_heap


@pytest.mark.slow
def test_collection_skips_frozen_heap() -> None:
    kept = [[number] for number in range(50_000)]
    freeze_heap()
    try:
        new = [[number] for number in range(100)]
        visited = gc.get_objects()
        assert len(visited) < len(kept) / 10
        assert all(any(item is other for other in visited) for item in new[:10])
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("end", [freeze_heap, collect_as_usual])
def test_collection_is_delayed_at_the_start_only(end: Callable[[], None]) -> None:
    usual = gc.get_threshold()
    delay_collection()
    try:
        assert gc.get_threshold()[0] > 1000 * usual[0]
        end()
        assert gc.get_threshold() == usual
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
