"""What happens in the jobs' room: watching, interrupting, talking to a checkpoint, publishing.

Knows which outputs an event has and in which order; which component they are is finetune.py's
matter.
"""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from finetune.training.checkpoints import step_of
from playground.errors import Conflict, UnknownJob
from playground.protocol import Backend, Message, Request, Sampling
from playground.studio.jobs import Job
from playground.studio.studio import Studio
from playground.ui.components.errors import shows_errors
from playground.ui.finetune.views import card_html, curves_html, job_html, job_label, samples_html

Updates = tuple[Any, ...]
SHOWN = 14
"""Components that `TrainingHooks.refresh` sets, the signature first."""
NO_JOBS = '<p class="empty">No jobs yet. Begin one under “New expert”.</p>'
LONGEST_ANSWER = 200


@dataclass(frozen=True, slots=True)
class JobRoom:
    """The handlers."""

    studio: Studio
    backend: Backend

    def refresh(self, seen: str, job_id: str | None) -> Updates:
        """Everything that is shown of the jobs, if it is other than what was seen before."""
        jobs = self.studio.jobs.all()
        chosen = next((job for job in jobs if job.id == job_id), jobs[0] if jobs else None)
        signature = _signature(jobs, chosen)
        if signature == seen:
            return (gr.skip(),) * SHOWN
        choices = [(job_label(job), job.id) for job in jobs]
        radio = gr.Radio(choices, value=chosen.id if chosen else None)
        if chosen is None:
            return (signature, radio, NO_JOBS, *(gr.skip(),) * (SHOWN - 3))
        return (signature, radio, *self._shown(chosen))

    def _shown(self, job: Job) -> Updates:
        steps = _steps(job)
        state = job.state
        return (
            job_html(job),
            gr.Button(visible=state in ("queued", "running")),
            gr.Button(visible=state in ("paused", "stopped", "failed")),
            gr.Button(visible=state in ("queued", "running", "paused")),
            gr.Button(visible=state != "running"),
            curves_html(job),
            samples_html(job),
            gr.Slider(
                minimum=0,
                maximum=max([*steps, 1]),
                value=max(steps, default=0),
                info=_saved(job, steps),
            ),
            gr.Button(interactive=job.adapter is not None),
            card_html(job),
            gr.File(self._card_files(job), visible=job.card("md") is not None),
            gr.Accordion(visible=bool(steps)),
        )

    def _card_files(self, job: Job) -> Any:
        found = [job.card(ending) for ending in ("html", "json", "md")]
        if None in found:
            return None
        folder = Path(tempfile.mkdtemp(prefix="card-"))
        return [str(shutil.copy(path, folder)) for path in found if path]

    @shows_errors
    def pause(self, job_id: str) -> None:
        """Save, and free the memory."""
        self.studio.jobs.pause(_needed(job_id))

    @shows_errors
    def resume(self, job_id: str) -> None:
        """Go on from the last checkpoint."""
        self.studio.jobs.resume(_needed(job_id))

    @shows_errors
    def stop(self, job_id: str) -> None:
        """End, keeping the checkpoints."""
        self.studio.jobs.stop(_needed(job_id))

    @shows_errors
    def delete(self, job_id: str) -> None:
        """Remove the job with its checkpoints."""
        self.studio.jobs.delete(_needed(job_id))

    @shows_errors
    async def talk(self, job_id: str, step: float, question: str) -> AsyncGenerator[str, None]:
        """The answer of the checkpoint that is nearest to the slider."""
        job = self.studio.jobs.find(_needed(job_id))
        steps = _steps(job)
        if not steps:
            raise Conflict("nothing is saved yet")
        nearest = min(steps, key=lambda each: abs(each - step))
        last = job.adapter is not None and nearest == job.progress[0]
        info = self.studio.try_checkpoint(job.id, None if last else nearest)
        request = Request(
            info.name,
            (Message("user", question),),
            sampling=Sampling(temperature=0.0, max_tokens=LONGEST_ANSWER),
            adapter_hash=info.provenance.adapter_hash,
        )
        head = f'<p class="note">Step {nearest:,} · adapter {info.provenance.adapter_hash[:8]}</p>'
        text = ""
        async with aclosing(self.backend.stream(request)) as events:
            async for event in events:
                text += event.text
                yield f'<div class="spoken">{escape(text)}</div>{head}'

    @shows_errors
    def publish(self, job_id: str, name: str, promote: bool) -> Updates:
        """A new version in the store, served at once if it is to be."""
        version = self.studio.publish(_needed(job_id), name.strip() or None, promote=promote)
        name = f"{version.name}/{version.version}"
        return gr.Tabs(selected="adapters"), gr.Dropdown([name], value=name)


def _needed(job_id: str | None) -> str:
    if not job_id:
        raise UnknownJob("")
    return job_id


def _steps(job: Job) -> list[int]:
    """Steps that can be talked to: checkpoints, and the end."""
    found = {step_of(each) for each in job.checkpoints}
    return sorted(found | ({job.progress[0]} if job.adapter else set()))


def _saved(job: Job, steps: list[int]) -> str:
    return f"Saved: {', '.join(map(str, steps))}" if steps else f"{job.run.name}: nothing saved yet"


def _signature(jobs: list[Job], chosen: Job | None) -> str:
    """Changes when anything that is shown changes."""
    listed = [
        (job.id, job.state, job.phase, job.progress[0] if job.state == "running" else 0)
        for job in jobs
    ]
    if chosen is None:
        return "none"
    detail = (chosen.id, len(chosen.log), len(chosen.samples), chosen.notes, chosen.published)
    return repr((listed, detail))
