"""What Gradio does again and again although nothing has changed, done less often.

Gradio 6.31 looks through the queues of all events a thousand times a second, which takes a
twentieth of a processor while nobody uses the page; and for each opened tab it inspects the
constructor of each of 700 components. Knows no part of the page.
"""

import inspect
from functools import cache
from types import SimpleNamespace
from typing import Final

import gradio as gr
from gradio import blocks

LOOKED_THROUGH_S: Final = 0.02
"""How often the queue is looked through: the most that an event waits for it."""
PROGRESS_S: Final = 0.1
"""How often a bar of progress is drawn anew."""


def idle_cheaply(page: gr.Blocks) -> None:
    """Let the queue of ``page`` wait longer between two looks; call this once it is mounted."""
    page._queue.sleep_when_free = LOOKED_THROUGH_S
    page._queue.progress_update_sleep_when_free = PROGRESS_S
    if isinstance(blocks.inspect, SimpleNamespace):
        return
    once = cache(inspect.signature)
    blocks.inspect = SimpleNamespace(**(vars(inspect) | {"signature": once}))
