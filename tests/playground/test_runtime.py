"""`playground.runtime`: what a full collection still visits."""

import gc

import pytest

from playground.runtime import freeze_heap


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
