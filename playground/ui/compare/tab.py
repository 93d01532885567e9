"""The Compare tab: a conversation with several lanes, votes, and training rows made from votes."""

from functools import partial

import gradio as gr

from playground.lab.prompts import Prompts
from playground.store import Feedback
from playground.ui.compare.events import CompareHandlers
from playground.ui.compare.feedback import VOTES, VoteHandlers
from playground.ui.compare.lanes import LaneHandlers
from playground.ui.compare.layout import (
    CompareParts,
    compare_parts,
    lane_inputs,
)
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.events import ACTION, STREAM, UNQUEUED
from playground.ui.components.keeping import keep
from playground.ui.history.recording import Recorder


def compare_tab(
    page: gr.Blocks,
    answering: Answering,
    feedback: Feedback,
    prompts: Prompts | None = None,
    *,
    needs_key: bool,
    recorder: Recorder | None = None,
    code: CodeParts,
) -> tuple[gr.Dropdown, ...]:
    """Build the tab in the current layout and wire its events. Returns its choices of models."""
    parts = compare_parts(answering.initial_models, code)
    lanes = LaneHandlers(answering, prompts)
    handlers = CompareHandlers(lanes, feedback, needs_key, recorder or Recorder())
    asking = parts.question.submit(
        **bind(handlers.ask, parts),
        inputs=[parts.question, parts.comparison, parts.blind, parts.count, parts.tags],
        inputs_kwargs=lane_inputs(parts.lanes),
        # The box is open again a moment before the stream ends: what is asked in it is asked then.
        trigger_mode="always_last",
        **STREAM,
    )
    asking.failure(**bind(handlers.reset_inputs, parts), inputs=None, **UNQUEUED)
    parts.stop.click(
        **bind(handlers.reset_inputs, parts), inputs=None, cancels=[asking], **UNQUEUED
    )
    for event in (parts.new.click, parts.count.change):
        event(**bind(handlers.new, parts), inputs=parts.count, cancels=[asking], **UNQUEUED).then(
            **bind(handlers.reset_inputs, parts), inputs=None, **UNQUEUED
        )
    for number, lane in enumerate(parts.lanes):
        lane.view_code.click(
            **bind(handlers.code, parts.code),
            inputs=[gr.State(number), parts.question, parts.comparison],
            inputs_kwargs=lane_inputs(parts.lanes),
            **ACTION,
        )
    _wire_lanes(page, parts, lanes)
    _wire_feedback(page, parts, VoteHandlers(feedback))
    return tuple(lane.model for lane in parts.lanes)


def _wire_lanes(page: gr.Blocks, parts: CompareParts, lanes: LaneHandlers) -> None:
    """What the lanes' settings change, and that they stay over a reload."""
    prompts = [lane.prompt for lane in parts.lanes]
    kept = {
        "question": parts.question,
        "blind": parts.blind,
        "count": parts.count,
        "tags": parts.tags,
    }
    restored = keep("compare", lane_inputs(parts.lanes) | kept, page)
    parts.count.change(**bind(lanes.show_lanes, parts), inputs=parts.count, **UNQUEUED)
    for number, lane in enumerate(parts.lanes):
        lane.prompt.input(
            **bind(partial(lanes.choose_prompt, number), parts), inputs=lane.prompt, **ACTION
        )
        lane.prompt.focus(**bind(lanes.list_prompts, parts), inputs=None, **UNQUEUED)
    restored.then(**bind(lanes.list_prompts, parts), inputs=None, **UNQUEUED).then(
        **bind(lanes.show_prompts, parts), inputs=prompts, **UNQUEUED
    )


def _wire_feedback(page: gr.Blocks, parts: CompareParts, handlers: VoteHandlers) -> None:
    score = bind(handlers.score, parts)
    for vote, button in zip(VOTES, parts.votes, strict=True):
        button.click(
            **bind(partial(handlers.vote, vote), parts), inputs=parts.comparison, **ACTION
        ).then(**score, inputs=parts.tag, **UNQUEUED)
    for index, side in enumerate(parts.sides):
        side.edit.click(
            **bind(partial(handlers.begin_edit, index), parts), inputs=parts.comparison, **UNQUEUED
        )
        side.save.click(
            **bind(partial(handlers.save_edit, index), parts),
            inputs=[side.edited, parts.comparison],
            **ACTION,
        ).then(**score, inputs=parts.tag, **UNQUEUED)
    parts.tag.input(**score, inputs=parts.tag, **UNQUEUED)
    page.load(**score, inputs=parts.tag, **UNQUEUED)
