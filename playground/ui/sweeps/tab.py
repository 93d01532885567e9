"""The Evaluate tab: prompts × models × settings over rows, graded and compared."""

import gradio as gr

from playground.lab.sweeps.sweeps import Sweeps
from playground.store import Feedback
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, UNQUEUED
from playground.ui.components.keeping import keep
from playground.ui.sweeps.events import SweepHandlers
from playground.ui.sweeps.layout import SetupParts, WorkParts, evaluate_parts


def evaluate_tab(
    page: gr.Blocks, answering: Answering, sweeps: Sweeps, feedback: Feedback
) -> gr.Dropdown:
    """Build the tab in the current layout and wire its events. Returns its choice of models."""
    parts = evaluate_parts(
        answering.initial_models,
        saved=sweeps.prompts is not None,
        history=sweeps.history is not None,
    )
    handlers = SweepHandlers(sweeps, feedback)
    _wire_setup(page, parts.setup, parts.work, handlers)
    _wire_work(parts.work, handlers)
    models = parts.setup.form["models"]
    assert isinstance(models, gr.Dropdown)
    return models


def _wire_setup(
    page: gr.Blocks, setup: SetupParts, work: WorkParts, handlers: SweepHandlers
) -> None:
    setup.kind.change(**bind(handlers.choose_grader, setup), inputs=setup.kind, **UNQUEUED)
    gr.on(
        [setup.add.click, setup.value.submit],
        **bind(handlers.add_grader, setup),
        inputs=[setup.kind, setup.value, setup.graders],
        **ACTION,
    )
    for event in (setup.clear.click, page.load):
        event(**bind(handlers.clear_graders, setup), inputs=None, **UNQUEUED)
    saved = setup.form["saved"]
    assert isinstance(saved, gr.Dropdown)
    for event in (page.load, saved.focus):
        event(**bind(handlers.list_saved, setup.form), inputs=None, **UNQUEUED)
    for button, handler in (
        (setup.rated, handlers.use_rated),
        (setup.history, handlers.use_history),
    ):
        button.click(**bind(handler, setup.form), inputs=None, **ACTION)
    setup.start.click(
        **bind(handlers.start, work),
        inputs=setup.graders,
        inputs_kwargs=setup.form,
        **ACTION,
    )
    setup.start_document.click(
        **bind(handlers.start_document, work), inputs=setup.document, **ACTION
    )
    texts = ("name", "systems", "message", "temperature", "max_tokens", "seed", "rows")
    keep("evaluate", {name: setup.form[name] for name in texts}, page)


def _wire_work(work: WorkParts, handlers: SweepHandlers) -> None:
    gr.on(
        [work.timer.tick, work.sweep.input],
        **bind(handlers.refresh, work),
        inputs=[work.seen, work.sweep, work.cell, work.first, work.second],
        **UNQUEUED,
    )
    work.cell.input(**bind(handlers.choose_cell, work), inputs=[work.sweep, work.cell], **UNQUEUED)
    work.cells.select(**bind(handlers.open_cell, work), inputs=work.sweep, **UNQUEUED)
    gr.on(
        [work.first.input, work.second.input],
        **bind(handlers.compare, work),
        inputs=[work.sweep, work.first, work.second],
        **UNQUEUED,
    )
    work.make_rows.click(
        **bind(handlers.make_rows, work), inputs=[work.sweep, work.cell, work.most], **ACTION
    )
    for button, handler in (
        (work.stop, handlers.stop),
        (work.resume, handlers.resume),
        (work.delete, handlers.delete),
    ):
        button.click(**bind(handler), inputs=work.sweep, **ACTION)
