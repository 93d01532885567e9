"""The Compare tab: one question to two lanes, a vote, and training rows made from votes."""

from functools import partial

import gradio as gr

from playground.store import Feedback
from playground.ui.compare.events import VOTES, CompareHandlers
from playground.ui.compare.layout import CompareParts, compare_parts, lane_inputs
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, STREAM, UNQUEUED
from playground.ui.components.keeping import keep
from playground.ui.history.recording import Recorder


def compare_tab(
    page: gr.Blocks,
    answering: Answering,
    feedback: Feedback,
    *,
    needs_key: bool,
    recorder: Recorder | None = None,
) -> tuple[gr.Dropdown, ...]:
    """Build the tab in the current layout and wire its events. Returns its choices of models."""
    parts = compare_parts(answering.initial_models)
    handlers = CompareHandlers(answering, feedback, needs_key, recorder or Recorder())
    asking = parts.question.submit(
        **bind(handlers.ask, parts),
        inputs=[parts.question, parts.blind],
        inputs_kwargs=lane_inputs(parts.lanes),
        **STREAM,
    )
    asking.failure(**bind(handlers.reset_inputs, parts), inputs=None, **UNQUEUED)
    parts.stop.click(
        **bind(handlers.reset_inputs, parts), inputs=None, cancels=[asking], **UNQUEUED
    )
    for number, lane in enumerate(parts.lanes):
        lane.view_code.click(
            **bind(handlers.code, parts.code),
            inputs=[gr.State(number), parts.question, parts.comparison],
            inputs_kwargs=lane_inputs(parts.lanes),
            **ACTION,
        )
    _wire_feedback(page, parts, handlers)
    typed = {"question": parts.question, "blind": parts.blind}
    keep("compare", lane_inputs(parts.lanes) | typed, page)
    return tuple(lane.model for lane in parts.lanes)


def _wire_feedback(page: gr.Blocks, parts: CompareParts, handlers: CompareHandlers) -> None:
    score = bind(handlers.score, parts)
    for vote, button in zip(VOTES, parts.votes, strict=True):
        button.click(
            **bind(partial(handlers.vote, vote), parts), inputs=parts.comparison, **ACTION
        ).then(**score, inputs=None, **UNQUEUED)
    for index, side in enumerate(parts.sides):
        side.edit.click(
            **bind(partial(handlers.begin_edit, index), parts), inputs=parts.comparison, **UNQUEUED
        )
        side.save.click(
            **bind(partial(handlers.save_edit, index), parts),
            inputs=[side.edited, parts.comparison],
            **ACTION,
        ).then(**score, inputs=None, **UNQUEUED)
    page.load(**score, inputs=None, **UNQUEUED)
