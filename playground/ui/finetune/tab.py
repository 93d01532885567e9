"""The Fine-tune tab: from training rows to a promoted adapter, on the model that is loaded."""

import gradio as gr

from playground.store import Feedback
from playground.studio.studio import Studio
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, STREAM, UNQUEUED
from playground.ui.components.keeping import keep
from playground.ui.finetune.adapter_events import AdapterHandlers
from playground.ui.finetune.job_events import JobHandlers
from playground.ui.finetune.layout import FinetuneParts, finetune_parts
from playground.ui.finetune.recipe_controls import preset_for
from playground.ui.finetune.train_events import TrainHandlers


def finetune_tab(page: gr.Blocks, answering: Answering, studio: Studio, feedback: Feedback) -> None:
    """Build the tab in the current layout and wire its events."""
    parts = finetune_parts(preset_for(studio.base))
    _wire_train(page, parts, TrainHandlers(studio, feedback))
    form = {"source": parts.train.source, "name": parts.train.name, "preset": parts.train.preset}
    keep("finetune", form | parts.train.fields, page)
    published = _wire_jobs(parts, JobHandlers(studio, answering))
    # What one answered is no word of another.
    gr.on(
        [parts.jobs.job.input, parts.jobs.checkpoint.input],
        None,
        None,
        parts.jobs.answer,
        js="() => ''",
        **UNQUEUED,
    )

    def end_trials(session: gr.Request) -> None:
        """Nobody tries a checkpoint whose page is closed."""
        studio.end_trials(session.session_hash or "")

    page.unload(end_trials)
    _wire_adapters(page, parts, AdapterHandlers(studio), published)


def _wire_train(page: gr.Blocks, parts: FinetuneParts, train: TrainHandlers) -> None:
    new = parts.train
    fields = new.fields
    rows = [new.source, new.files]
    columns = [new.question, new.answer]
    new.sample.click(**bind(train.use_sample, new), inputs=None, **UNQUEUED)
    new.source.change(**bind(train.choose_source, new), inputs=new.source, **UNQUEUED)
    gr.on(
        [new.files.change, new.source.change],
        **bind(train.choose_columns, new),
        inputs=[*rows, new.offered],
        **UNQUEUED,
    )
    new.preset.input(**bind(train.choose_preset, new), inputs=new.preset, **UNQUEUED)
    options = {**UNQUEUED, "inputs_kwargs": fields, "trigger_mode": "always_last"}
    gr.on(
        [
            page.load,
            new.source.change,
            new.files.change,
            new.evaluation.change,
            *(column.change for column in columns),
            fields["method"].change,
            fields["max_length"].change,
            fields["eval_fraction"].change,
        ],
        **bind(train.report, new),
        inputs=[*rows, new.evaluation, *columns],
        **options,
    )
    parts.jobs.timer.tick(**bind(train.count, new), inputs=[new.counted, new.files], **UNQUEUED)
    gr.on(
        [page.load, *(control.change for control in fields.values())],
        **bind(train.plan, new),
        inputs=None,
        **options,
    )
    gr.on(
        [
            new.files.change,
            new.source.change,
            new.line.change,
            *(column.change for column in columns),
        ],
        **bind(train.preview, new),
        inputs=[new.line, *rows, *columns],
        **options,
    )
    started = new.start.click(
        **bind(train.start, parts),
        inputs=[*rows, new.evaluation, new.name, *columns],
        inputs_kwargs=fields,
        **ACTION,
    )
    for event in (page.load, parts.sections.select, started.then):
        event(**bind(train.availability, new), inputs=None, **UNQUEUED)


def _wire_jobs(parts: FinetuneParts, handlers: JobHandlers) -> gr.events.Dependency:
    """Wire the jobs; returns the event of publishing, which adds a version."""
    jobs = parts.jobs
    gr.on(
        [jobs.timer.tick, jobs.job.change],
        **bind(handlers.refresh, jobs),
        inputs=[jobs.seen, jobs.job],
        **UNQUEUED,
    )
    for button, handler in (
        (jobs.pause, handlers.pause),
        (jobs.resume, handlers.resume),
        (jobs.stop, handlers.stop),
        (jobs.delete, handlers.delete),
    ):
        button.click(**bind(handler), inputs=jobs.job, **ACTION)
    jobs.question.submit(
        **bind(handlers.try_checkpoint, jobs),
        inputs=[jobs.job, jobs.checkpoint, jobs.question],
        **STREAM,
    )
    return jobs.publish.click(
        **bind(handlers.publish, parts), inputs=[jobs.job, jobs.name, jobs.promote], **ACTION
    )


def _wire_adapters(
    page: gr.Blocks,
    parts: FinetuneParts,
    handlers: AdapterHandlers,
    published: gr.events.Dependency,
) -> None:
    adapters = parts.adapters
    for event in (page.load, published.then, parts.sections.select, adapters.version.input):
        event(**bind(handlers.refresh, adapters), inputs=adapters.version, **UNQUEUED)
    for button, handler in (
        (adapters.preview, handlers.preview),
        (adapters.promote, handlers.promote),
        (adapters.roll_back, handlers.roll_back),
        (adapters.retire, handlers.retire),
        (adapters.delete, handlers.delete),
    ):
        button.click(**bind(handler, adapters), inputs=adapters.version, **ACTION)
    adapters.export.click(
        **bind(handlers.export, adapters),
        inputs=[adapters.version, adapters.target, adapters.gguf_type],
        **ACTION,
    )
    adapters.import_adapter.click(
        **bind(handlers.import_adapter, adapters), inputs=[adapters.files, adapters.name], **ACTION
    )
