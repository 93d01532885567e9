"""What happens in the Evaluate tab: each event is a method from values to named updates."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import gradio as gr

from playground.errors import InvalidRequest
from playground.jobs import JobSnapshot, JobSummary
from playground.lab.sweeps.files import parse_object
from playground.lab.sweeps.result import SweepResult, rows_text, to_text
from playground.lab.sweeps.sweeps import Sweeps
from playground.protocol.json_types import JsonObject
from playground.store import Feedback
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.downloads import download_file
from playground.ui.components.markup import render
from playground.ui.components.status import verdict
from playground.ui.sweeps.form import GRADERS, SweepForm, grader_body, sweep_body
from playground.ui.sweeps.views import (
    Table,
    answers_table,
    cells_table,
    comparison_html,
    graders_html,
    head_html,
    plot_html,
    sweep_label,
)

NO_SWEEPS = "none"
MAX_HISTORY_ROWS = 200
GraderList = list[dict[str, object]]
"""Graders as the form has them (Gradio cannot evaluate an annotation with `JsonObject`)."""
DEFAULT_GRADER: GraderList = [{"type": "exact"}]


@dataclass(frozen=True, slots=True)
class GradersUpdate:
    """The graders that were added, and the form for another one."""

    graders: GraderList | Unchanged = UNCHANGED
    listed: str | Unchanged = UNCHANGED
    value: gr.Textbox | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class RowsUpdate:
    """Other rows."""

    rows: str


@dataclass(frozen=True, slots=True)
class SavedUpdate:
    """The prompts that are stored."""

    saved: gr.Dropdown


@dataclass(frozen=True, slots=True)
class StartedUpdate:
    """A sweep that was begun is the one that is shown."""

    sweep: gr.Dropdown
    seen: str = ""


@dataclass(frozen=True, slots=True)
class SweepUpdate:
    """The list of sweeps and the chosen one."""

    seen: str | Unchanged = UNCHANGED
    sweep: gr.Dropdown | Unchanged = UNCHANGED
    head: str | Unchanged = UNCHANGED
    stop: gr.Button | Unchanged = UNCHANGED
    resume: gr.Button | Unchanged = UNCHANGED
    delete: gr.Button | Unchanged = UNCHANGED
    result: gr.DownloadButton | Unchanged = UNCHANGED
    plot: str | Unchanged = UNCHANGED
    views: gr.Column | Unchanged = UNCHANGED
    cells: gr.Dataframe | Unchanged = UNCHANGED
    cell: gr.Dropdown | Unchanged = UNCHANGED
    answers: Table | Unchanged | None = UNCHANGED
    first: gr.Dropdown | Unchanged = UNCHANGED
    second: gr.Dropdown | Unchanged = UNCHANGED
    comparison: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class CellUpdate:
    """A cell that was opened."""

    answers: Table | None
    cell: gr.Dropdown | Unchanged = UNCHANGED
    training: gr.DownloadButton | Unchanged = UNCHANGED
    made: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ComparisonUpdate:
    """Two cells compared."""

    comparison: str


@dataclass(frozen=True, slots=True)
class TrainingUpdate:
    """A file of training rows."""

    training: gr.DownloadButton
    made: str


@dataclass(frozen=True, slots=True)
class SweepHandlers:
    """The handlers."""

    sweeps: Sweeps
    feedback: Feedback

    def choose_grader(self, kind: str) -> GradersUpdate:
        """Say what a grader's value is."""
        return GradersUpdate(value=gr.Textbox(placeholder=GRADERS[kind][1]))

    def add_grader(self, kind: str, value: str, graders: GraderList) -> GradersUpdate:
        """Add a grader, which is checked at once."""
        added = grader_body(kind, value)
        self.sweeps.check_grader(added)
        now: GraderList = [*graders, dict(added)]
        return GradersUpdate(now, graders_html(now), gr.Textbox(value=""))

    def clear_graders(self) -> GradersUpdate:
        """Remove all graders."""
        return GradersUpdate([], graders_html([]))

    def use_rated(self) -> RowsUpdate:
        """Take the answers that people liked or edited as rows."""
        rows = self.feedback.sft_rows()
        if not rows:
            raise InvalidRequest("rows", "no answer has a thumb up, a vote or an edit yet")
        return RowsUpdate(rows_text(rows))

    def use_history(self) -> RowsUpdate:
        """Take the latest conversations as rows; the last answer of each is the wanted one."""
        history = self.sweeps.history
        rows = history(MAX_HISTORY_ROWS) if history else ()
        if not rows:
            raise InvalidRequest("rows", "no conversation with an answer is kept yet")
        return RowsUpdate(rows_text(rows))

    def list_saved(self) -> SavedUpdate:
        """List the versions of all stored prompts."""
        prompts = self.sweeps.prompts
        return SavedUpdate(gr.Dropdown(list(prompts.sweep_references()) if prompts else []))

    async def start(self, graders: GraderList, **form: Unpack[SweepForm]) -> StartedUpdate:
        """Begin the sweep that the form describes; without a grader, exact matches count."""
        body = await asyncio.to_thread(sweep_body, form, graders or DEFAULT_GRADER)
        return await self._start(body)

    async def start_document(self, document: str | None) -> StartedUpdate:
        """Begin the sweep that a file describes."""
        if not document:
            raise InvalidRequest("file", "choose a file first")
        path = Path(document)
        text = await asyncio.to_thread(path.read_text, encoding="utf-8-sig", errors="replace")
        return await self._start(parse_object(text, path.name))

    async def _start(self, body: JsonObject) -> StartedUpdate:
        sweep = await asyncio.to_thread(self.sweeps.read, body)
        started = await self.sweeps.start(sweep)
        return StartedUpdate(_choice(self.sweeps.list(), started.id))

    def refresh(
        self,
        seen: str,
        sweep_id: str | None,
        cell: int | None,
        first: int | None,
        second: int | None,
    ) -> SweepUpdate:
        """Show the sweeps and the chosen one, if anything has changed since ``seen``: with its open
        cell, and the first cell compared with the second.
        """
        sweeps = self.sweeps.list()
        if not sweeps:
            return SweepUpdate() if seen == NO_SWEEPS else _empty()
        chosen = next((sweep for sweep in sweeps if sweep.id == sweep_id), sweeps[0])
        job = self.sweeps.snapshot(chosen.id)
        states = "".join(sweep.state[0] for sweep in sweeps)
        signature = f"{job.id} {job.state} {job.phase} {job.progress.done} {len(sweeps)} {states}"
        if signature == seen:
            return SweepUpdate()
        result = self.sweeps.result(job.id)
        chosen_cells = (cell, first, second) if seen.startswith(f"{job.id} ") else None
        return _shown(signature, sweeps, job, result, chosen_cells)

    def choose_cell(self, sweep_id: str | None, cell: int | None) -> CellUpdate:
        """Open a cell's answers."""
        table = None if cell is None else answers_table(self._result(sweep_id), cell)
        return CellUpdate(table, training=gr.DownloadButton(visible=False), made="")

    def open_cell(self, event: gr.SelectData, sweep_id: str | None) -> CellUpdate:
        """Open the cell whose line of the table was clicked."""
        label = event.row_value[0]
        labels = self._result(sweep_id).labels
        number = labels.index(label) if label in labels else 0
        shown = self.choose_cell(sweep_id, number)
        return CellUpdate(shown.answers, gr.Dropdown(value=number), shown.training, "")

    def compare(
        self, sweep_id: str | None, first: int | None, second: int | None
    ) -> ComparisonUpdate:
        """Compare two cells on their rows."""
        return ComparisonUpdate(_compared(self._result(sweep_id), first, second))

    def make_rows(
        self, sweep_id: str | None, cell: int | None, most: float | None
    ) -> TrainingUpdate:
        """Make training rows of the worst answers."""
        result = self._result(sweep_id)
        rows, without = result.training_rows(cell or 0, int(most or 1))
        left = f"; {without} have no right answer" if without else ""
        if not rows:
            text = "No answer to learn from" + (left or ": all of them are right")
            return TrainingUpdate(gr.DownloadButton(visible=False), verdict(text, good=False))
        path = download_file("worst-answers.jsonl", rows_text(rows))
        count = f"{len(rows)} training row{'' if len(rows) == 1 else 's'}"
        return TrainingUpdate(
            gr.DownloadButton(value=path, visible=True), verdict(f"{count}{left}", good=True)
        )

    def stop(self, sweep_id: str | None) -> None:
        """Stop asking; what is answered stays."""
        self.sweeps.stop(_required(sweep_id))

    def resume(self, sweep_id: str | None) -> None:
        """Ask what is not answered yet."""
        self.sweeps.resume(_required(sweep_id))

    def delete(self, sweep_id: str | None) -> None:
        """Remove the sweep with its answers."""
        self.sweeps.delete(_required(sweep_id))

    def _result(self, sweep_id: str | None) -> SweepResult:
        return self.sweeps.result(_required(sweep_id))


def _required(sweep_id: str | None) -> str:
    if not sweep_id:
        raise InvalidRequest("sweep", "start one first")
    return sweep_id


def _choice(sweeps: tuple[JobSummary, ...], chosen: str) -> gr.Dropdown:
    return gr.Dropdown(
        [(sweep_label(sweep), sweep.id) for sweep in sweeps], value=chosen, visible=True
    )


def _empty() -> SweepUpdate:
    hidden = gr.Button(visible=False)
    nothing = gr.Dropdown([], value=None)
    return SweepUpdate(
        NO_SWEEPS, gr.Dropdown([], value=None, visible=False), render("sweeps/welcome.html"),
        hidden, hidden, hidden, gr.DownloadButton(visible=False), "", gr.Column(visible=False),
        gr.Dataframe(visible=False), nothing, None, nothing, nothing, "",
    )  # fmt: skip


def _compared(result: SweepResult, first: int | None, second: int | None) -> str:
    """Compare two cells; empty where there is nothing to compare yet."""
    labels = result.labels
    if first is None or second is None or first == second or max(first, second) >= len(labels):
        return ""
    if not result.of_cell(first) or not result.of_cell(second):
        return ""
    return comparison_html(labels[first], labels[second], result.compare(first, second))


def _shown(
    signature: str,
    sweeps: tuple[JobSummary, ...],
    job: JobSnapshot,
    result: SweepResult,
    chosen: tuple[int | None, int | None, int | None] | None,
) -> SweepUpdate:
    """Show a sweep; ``chosen`` are its open cell and the two that are compared, if they are."""
    cells = result.sweep.cells
    figures = [result.cell_json(each) for each in cells]
    labels = [(label, number) for number, label in enumerate(result.labels)]
    ended = job.state == "done"
    usual = (0, min(1, len(cells) - 1), 0)
    same = chosen is not None and chosen[0] is not None and chosen[0] < len(cells)
    cell, first, second = chosen if chosen and same else usual
    download = download_file(f"{job.id}.json", to_text(result.as_json())) if ended else None
    return SweepUpdate(
        seen=signature,
        sweep=_choice(sweeps, job.id),
        head=head_html(job, result.sweep.notes),
        stop=gr.Button(visible=job.live),
        resume=gr.Button(visible=job.state in ("stopped", "failed", "paused")),
        delete=gr.Button(visible=job.state != "running"),
        result=gr.DownloadButton(value=download, visible=ended),
        plot=plot_html(figures),
        views=gr.Column(visible=bool(result.answers)),
        cells=gr.Dataframe(cells_table(figures), visible=bool(result.answers)),
        cell=gr.Dropdown(labels, value=cell),
        answers=answers_table(result, cell or 0),
        first=UNCHANGED if same else gr.Dropdown(labels, value=first),
        second=UNCHANGED if same else gr.Dropdown(labels, value=second),
        comparison=_compared(result, first, second),
    )
