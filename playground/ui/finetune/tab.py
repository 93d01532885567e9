"""The Fine-tune tab: from rows to a promoted expert, on the model that is being talked to."""

from typing import Any

import gradio as gr

from finetune.recipe import PRESETS
from playground.protocol import Backend
from playground.store import Feedback
from playground.studio.studio import Studio
from playground.ui.chat.tab import ACTS, QUIET
from playground.ui.finetune.adapter_events import AdapterRoom
from playground.ui.finetune.job_events import JobRoom
from playground.ui.finetune.layout import FinetuneParts, finetune_parts
from playground.ui.finetune.train_events import Train

EMBEDDED_PRESET, LARGE_PRESET = "embedded_cpu", "mistral_small_24b_qlora"


def finetune_tab(page: Any, backend: Backend, studio: Studio, feedback: Feedback) -> None:
    """Build the tab where it is called and wire its events."""
    embedded = backend.models()[0].name == "embedded"
    preset = EMBEDDED_PRESET if embedded else LARGE_PRESET
    assert preset in PRESETS
    parts = finetune_parts(preset)
    jobs, adapters = JobRoom(studio, backend), AdapterRoom(studio)
    _wire_train(page, parts, Train(studio, feedback))
    published = _wire_jobs(parts, jobs)
    _wire_adapters(page, parts, adapters, published)


def _wire_train(page: Any, parts: FinetuneParts, train: Train) -> None:
    new = parts.train
    fields = new.fields
    rows = [new.source, new.files]
    new.sample.click(
        train.take_sample, None, [new.source, new.files, new.evaluation, new.name], **QUIET
    )
    new.source.change(train.choose_source, new.source, new.files, **QUIET)
    new.preset.input(train.choose_preset, new.preset, list(fields.values()), **QUIET)
    gr.on(
        [
            page.load,
            new.source.change,
            new.files.change,
            new.evaluation.change,
            fields["max_length"].change,
            fields["eval_fraction"].change,
        ],
        train.report,
        [*rows, new.evaluation],
        new.report,
        inputs_kwargs=fields,
        trigger_mode="always_last",
        **QUIET,
    )
    gr.on(
        [page.load, *(control.change for control in fields.values())],
        train.plan,
        None,
        new.plan,
        inputs_kwargs=fields,
        trigger_mode="always_last",
        **QUIET,
    )
    gr.on(
        [new.files.change, new.source.change, new.line.change],
        train.preview,
        [new.line, *rows],
        new.preview,
        inputs_kwargs=fields,
        trigger_mode="always_last",
        **QUIET,
    )
    new.start.click(
        train.start,
        [*rows, new.evaluation, new.name],
        [parts.rooms, parts.jobs.job],
        inputs_kwargs=fields,
        **ACTS,
    )


def _wire_jobs(parts: FinetuneParts, room: JobRoom) -> Any:
    jobs = parts.jobs
    seen = gr.State("")
    shown = [
        seen, jobs.job, jobs.head, jobs.pause, jobs.resume, jobs.stop, jobs.delete, jobs.curves,
        jobs.samples, jobs.checkpoint, jobs.publish, jobs.card, jobs.card_files, jobs.talk,
    ]  # fmt: skip
    gr.on([jobs.timer.tick, jobs.job.change], room.refresh, [seen, jobs.job], shown, **QUIET)
    for button, handler in (
        (jobs.pause, room.pause),
        (jobs.resume, room.resume),
        (jobs.stop, room.stop),
        (jobs.delete, room.delete),
    ):
        button.click(handler, jobs.job, None, **ACTS)
    jobs.question.submit(
        room.talk,
        [jobs.job, jobs.checkpoint, jobs.question],
        jobs.answer,
        **ACTS,
    )
    return jobs.publish.click(
        room.publish,
        [jobs.job, jobs.name, jobs.promote],
        [parts.rooms, parts.adapters.version],
        **ACTS,
    )


def _wire_adapters(page: Any, parts: FinetuneParts, room: AdapterRoom, published: Any) -> None:
    store = parts.adapters
    shown = [store.table, store.version, store.card, store.note]
    page.load(room.refresh, store.version, shown, **QUIET)
    published.then(room.refresh, store.version, shown, **QUIET)
    parts.rooms.select(room.refresh, store.version, shown, **QUIET)
    store.version.input(room.refresh, store.version, shown, **QUIET)
    for button, handler in (
        (store.attempt, room.attempt),
        (store.promote, room.promote),
        (store.roll_back, room.roll_back),
        (store.retire, room.retire),
        (store.delete, room.delete),
    ):
        button.click(handler, store.version, shown, **ACTS)
    store.take_in.click(room.take_in, [store.files, store.name], shown, **ACTS)
