"""What happens under “Jobs”: they are watched, paused, resumed, stopped, tried and published."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from playground.errors import Conflict, UnknownJob
from playground.jobs import JobSummary
from playground.protocol import AnswerBuilder, Message, Request, Sampling
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.studio import Studio
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.finetune.views import (
    card_html,
    checkpoint_answer_html,
    curves_html,
    job_html,
    job_label,
    no_jobs_html,
    samples_html,
)

LONGEST_ANSWER = 200
NO_JOBS = "no jobs"
GOOD_VERDICT = "verdict: promote"
"""The note of a job whose report card recommends its adapter."""


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """The list of jobs and the chosen one. ``seen`` is a signature of what is shown."""

    seen: str | Unchanged = UNCHANGED
    job: gr.Radio | Unchanged = UNCHANGED
    head: str | Unchanged = UNCHANGED
    pause: gr.Button | Unchanged = UNCHANGED
    resume: gr.Button | Unchanged = UNCHANGED
    stop: gr.Button | Unchanged = UNCHANGED
    delete: gr.Button | Unchanged = UNCHANGED
    curves: str | Unchanged = UNCHANGED
    samples: str | Unchanged = UNCHANGED
    try_out: gr.Accordion | Unchanged = UNCHANGED
    checkpoint: gr.Slider | Unchanged = UNCHANGED
    promote: gr.Checkbox | Unchanged = UNCHANGED
    publish: gr.Button | Unchanged = UNCHANGED
    card: str | Unchanged = UNCHANGED
    card_files: gr.File | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class CheckpointAnswer:
    """What a checkpoint answered so far."""

    answer: str


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """A version, chosen in the list of adapters."""

    version: gr.Dropdown


@dataclass(frozen=True, slots=True)
class PublishUpdate:
    """The section of adapters, opened at the new version."""

    sections: gr.Tabs
    adapters: VersionChoice


@dataclass(frozen=True, slots=True)
class JobHandlers:
    """The handlers."""

    studio: Studio
    answering: Answering

    def refresh(self, seen: str, job_id: str | None) -> JobUpdate:
        """Show the jobs and the chosen one, if anything has changed since ``seen``."""
        jobs = self.studio.training_jobs()
        if not jobs:
            return JobUpdate() if seen == NO_JOBS else _empty(NO_JOBS, gr.Radio([], value=None))
        chosen = next((job for job in jobs if job.id == job_id), jobs[0])
        job = self.studio.training_job(chosen.id)
        signature = _signature(jobs, job)
        if signature == seen:
            return JobUpdate()
        radio = gr.Radio([(job_label(job), job.id) for job in jobs], value=job.id)
        return _shown(signature, radio, job)

    def pause(self, job_id: str | None) -> None:
        """Save a checkpoint and free the memory."""
        self.studio.jobs.pause(_required(job_id))

    def resume(self, job_id: str | None) -> None:
        """Continue from the last checkpoint."""
        self.studio.jobs.resume(_required(job_id))

    def stop(self, job_id: str | None) -> None:
        """End the job and keep its checkpoints."""
        self.studio.jobs.stop(_required(job_id))

    def delete(self, job_id: str | None) -> None:
        """Remove the job with its checkpoints."""
        self.studio.jobs.delete(_required(job_id))

    async def try_checkpoint(
        self, page: gr.Request, job_id: str | None, step: float, question: str
    ) -> AsyncGenerator[CheckpointAnswer, None]:
        """Stream the answer of the checkpoint that is nearest to the slider."""
        job = self.studio.training_job(_required(job_id))
        steps = job.steps
        if not steps:
            raise Conflict("no checkpoint is saved yet")
        nearest = min(steps, key=lambda saved: abs(saved - step))
        is_last = job.adapter is not None and nearest == job.progress.done
        info = await asyncio.to_thread(
            self.studio.try_checkpoint,
            job.id,
            None if is_last else nearest,
            user=page.session_hash or "",
        )
        adapter_hash = info.provenance.adapter_hash
        request = Request(
            info.name,
            (Message("user", question),),
            sampling=Sampling(temperature=0.0, max_tokens=LONGEST_ANSWER),
            adapter_hash=adapter_hash,
        )
        builder = AnswerBuilder()
        yield CheckpointAnswer(checkpoint_answer_html("", nearest, adapter_hash))
        async with aclosing(self.answering.stream(request)) as events:
            async for event in events:
                builder.add(event)
                yield CheckpointAnswer(checkpoint_answer_html(builder.text, nearest, adapter_hash))

    def publish(self, job_id: str | None, name: str, promote: bool) -> PublishUpdate:
        """Put the adapter into the store as a new version, and promote it if asked to."""
        version = self.studio.publish(_required(job_id), name.strip() or None, promote=promote)
        choice = f"{version.name}/{version.version}"
        return PublishUpdate(
            gr.Tabs(selected="adapters"), VersionChoice(gr.Dropdown([choice], value=choice))
        )


def _required(job_id: str | None) -> str:
    if not job_id:
        raise UnknownJob("")
    return job_id


def _signature(jobs: Sequence[JobSummary], job: TrainingSnapshot) -> str:
    """Return a text that changes when anything that is shown changes."""
    listed = [
        (item.id, item.state, item.phase, item.progress.done if item.state == "running" else 0)
        for item in jobs
    ]
    counts = len(job.log), len(job.samples)
    return repr((listed, job.id, counts, job.notes, job.published))


def _shown(signature: str, radio: gr.Radio, job: TrainingSnapshot) -> JobUpdate:
    steps, state = job.steps, job.state
    saved = ", ".join(map(str, steps))
    return JobUpdate(
        seen=signature,
        job=radio,
        head=job_html(job),
        pause=gr.Button(visible=state in ("queued", "running")),
        resume=gr.Button(visible=state in ("paused", "stopped", "failed")),
        stop=gr.Button(visible=state in ("queued", "running", "paused")),
        delete=gr.Button(visible=state != "running"),
        curves=curves_html(job),
        samples=samples_html(job),
        try_out=gr.Accordion(visible=bool(steps)),
        checkpoint=gr.Slider(
            minimum=0,
            maximum=max([*steps, 1]),
            value=max(steps, default=0),
            info=f"Saved: {saved}" if steps else f"{job.name}: no checkpoint yet",
        ),
        promote=gr.Checkbox(value=GOOD_VERDICT in job.notes),
        publish=gr.Button(interactive=job.adapter is not None),
        card=card_html(job),
        card_files=_card_files([*job.report_card.values()]),
    )


def _empty(signature: str, radio: gr.Radio) -> JobUpdate:
    hidden = gr.Button(visible=False)
    return JobUpdate(
        seen=signature,
        job=radio,
        head=no_jobs_html(),
        pause=hidden,
        resume=hidden,
        stop=hidden,
        delete=hidden,
        curves="",
        samples="",
        try_out=gr.Accordion(visible=False),
        publish=gr.Button(interactive=False),
        card="",
        card_files=gr.File(visible=False),
    )


def _card_files(files: list[Path]) -> gr.File:
    if not files:
        return gr.File(visible=False)
    folder = Path(tempfile.mkdtemp(prefix="card-"))
    return gr.File([str(shutil.copy(file, folder)) for file in files], visible=True)
