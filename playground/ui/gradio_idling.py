"""What Gradio does again and again although nothing has changed, done less often.

Gradio 6.31 looks through the queues of all events a thousand times a second, which takes a
twentieth of a processor while nobody uses the page; and it inspects the constructor of each of
700 components as the page is built, for each tab that is opened, and of each that an event
changes. Knows no part of the page.
"""

import inspect
from functools import cache
from types import SimpleNamespace
from typing import Final

import gradio as gr
from gradio import blocks, component_meta

LOOKED_THROUGH_S: Final = 0.02
"""How often the queue is looked through: the most that an event waits for it."""
PROGRESS_S: Final = 0.1
"""How often a bar of progress is drawn anew."""


def idle_cheaply(page: gr.Blocks) -> None:
    """Let the queue of ``page`` wait longer between two looks; call this once it is mounted."""
    page._queue.sleep_when_free = LOOKED_THROUGH_S
    page._queue.progress_update_sleep_when_free = PROGRESS_S


def inspect_once() -> None:
    """Let Gradio remember what it found; call this before the page is built."""
    if isinstance(blocks.inspect, SimpleNamespace):
        return
    remembered = {
        "signature": cache(inspect.signature),
        "getfullargspec": cache(inspect.getfullargspec),
    }
    blocks.inspect = component_meta.inspect = SimpleNamespace(**(vars(inspect) | remembered))
