"""`playground.runtime`: what a full collection still visits."""

import gc

from playground.runtime import freeze_heap


def test_after_the_start_a_collection_visits_only_what_is_new() -> None:
    kept = [[number] for number in range(50_000)]
    freeze_heap()
    try:
        new = [[number] for number in range(100)]
        visited = gc.get_objects()
        assert len(visited) < len(kept) / 10
        assert all(any(each is one for one in visited) for each in new[:10])
    finally:
        gc.unfreeze()
