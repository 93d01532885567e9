"""Keeps Python's garbage collector away from what lives as long as the process.

Libraries, weights and the page are some hundred thousand objects, which a full collection visits
one by one: a quarter of a second in which no token leaves (docs/log.md). vLLM does the same after
its start (vllm/utils/gc_utils.py).
"""

import gc


def freeze_heap() -> None:
    """Call once everything is loaded: what is alive now is never visited again."""
    gc.collect()
    gc.freeze()
