"""transformers' progress bars, shown only where something takes long. Knows no model."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[None]:
    """Show transformers' progress bars within the block, or none."""
    was_enabled = is_progress_bar_enabled()
    if not shown:
        disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            enable_progress_bar()
