"""How the page's events run: options for Gradio's event listeners.

All are private: they are plumbing of the page and no part of the API.
"""

from typing import Final, TypedDict

from gradio.components import Component


class EventOptions(TypedDict, total=False):
    """Those of Gradio's options that the page sets."""

    api_visibility: str
    show_progress: str
    show_progress_on: tuple[Component, ...]
    queue: bool
    concurrency_limit: int | None


UNQUEUED: Final[EventOptions] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "show_progress_on": (),
    "queue": False,
}
"""Answered at once, by one request: a queued event takes a second one, for its results.

``show_progress_on`` names nothing because Gradio otherwise tells all outputs of all events so far
of each event's progress, hidden or not: most of what the page had to do as it opened."""

ACTION: Final[EventOptions] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "show_progress_on": (),
    "concurrency_limit": None,
}
"""A button that may be refused: the error of an unqueued event is not shown (Gradio 6.31)."""

STREAM: Final[EventOptions] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}
"""An answer as it is written."""
