"""The Compare tab: one question to two lanes, a vote, and rows that come of votes."""

from functools import partial
from typing import Any

import gradio as gr

from playground.protocol import Backend
from playground.store import Feedback
from playground.ui.chat.tab import ACTS, ANSWERS, QUIET
from playground.ui.compare.events import VOTES, Compare
from playground.ui.compare.layout import CompareParts, compare_parts


def compare_tab(page: Any, backend: Backend, feedback: Feedback) -> CompareParts:
    """Build the tab where it is called and wire its events."""
    parts = compare_parts(backend.models())
    tab = Compare(backend, feedback)
    labels = [side.label for side in parts.sides]
    answers = [side.answer for side in parts.sides]
    edits = [side.edit for side in parts.sides]
    box = [parts.question, parts.stop]
    asking = parts.question.submit(
        tab.ask,
        [parts.question, parts.blind, *(each for lane in parts.lanes for each in lane.inputs())],
        [*labels, *answers, parts.asked, parts.verdict, parts.vote_row, *edits, *box],
        **(ANSWERS | {"show_progress": "hidden"}),
    )
    asking.failure(tab.rest, None, box, **QUIET)
    parts.stop.click(tab.rest, None, box, cancels=[asking], **QUIET)
    score = [parts.score, parts.preferences, parts.good]
    for which, button in zip(VOTES, parts.votes, strict=True):
        button.click(
            partial(tab.vote, which), parts.asked, [*labels, *answers, parts.verdict], **ACTS
        ).then(tab.score, None, score, **QUIET)
    for at, side in enumerate(parts.sides):
        side.edit.click(partial(tab.begin_edit, at), parts.asked, [side.edited, side.save], **QUIET)
        side.save.click(
            partial(tab.save_edit, at),
            [side.edited, parts.asked],
            [side.edited, side.save, parts.verdict],
            **ACTS,
        ).then(tab.score, None, score, **QUIET)
    page.load(tab.score, None, score, **QUIET)
    return parts


def model_choices(backend: Backend, count: int) -> tuple[Any, ...]:
    """The models that are served now, for so many dropdowns."""
    names = [info.name for info in backend.models()]
    return (gr.Dropdown(names),) * count
