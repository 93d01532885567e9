"""What happens under “New fine-tune”: rows are checked, a recipe is chosen, a job is queued.

The recipe's fields arrive as keyword arguments.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import gradio as gr

from playground.errors import InvalidSettings, PlaygroundError
from playground.store import Feedback
from playground.store.feedback import as_jsonl
from playground.store.feedback_rows import FeedbackRows
from playground.studio.studio import SAMPLES, Studio
from playground.studio.training import column_names, guess_columns, read_columns
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.downloads import download_file
from playground.ui.components.status import note
from playground.ui.finetune.layout import FROM_GOOD, FROM_THUMBS, FROM_VOTES, START, UPLOADED
from playground.ui.finetune.recipe_controls import (
    FieldValue,
    FieldValues,
    preset_values,
    to_recipe,
)
from playground.ui.finetune.views import (
    job_label,
    plan_html,
    preview_html,
    report_html,
    welcome_html,
)

FEEDBACK_METHODS: Mapping[str, FeedbackRows] = MappingProxyType(
    {FROM_GOOD: "sft", FROM_VOTES: "dpo", FROM_THUMBS: "kto"}
)
"""The training method that takes the rows of each source but files."""


@dataclass(frozen=True, slots=True)
class SourceUpdate:
    """Other rows, and the name for the model."""

    source: str | Unchanged = UNCHANGED
    files: list[str] | gr.File | Unchanged = UNCHANGED
    evaluation: str | Unchanged = UNCHANGED
    name: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ColumnsUpdate:
    """The columns of a file, and which of them are guessed to be question and answer."""

    offered: str | Unchanged = UNCHANGED
    columns: gr.Accordion | Unchanged = UNCHANGED
    question: gr.Dropdown | Unchanged = UNCHANGED
    answer: gr.Dropdown | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class RecipeUpdate:
    """A preset's fields."""

    fields: FieldValues


@dataclass(frozen=True, slots=True)
class ReportUpdate:
    """What is in the rows, and whether to start asks about those that would be skipped."""

    report: str
    start: gr.Button = field(default_factory=lambda: _start_button(0))


@dataclass(frozen=True, slots=True)
class CountUpdate:
    """How many rows are read so far."""

    counted: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class PlanUpdate:
    """The memory that training needs."""

    plan: str


@dataclass(frozen=True, slots=True)
class PreviewUpdate:
    """A row's tokens."""

    preview: str


@dataclass(frozen=True, slots=True)
class AvailabilityUpdate:
    """Why no job can be started; empty where one can."""

    unavailable: str


@dataclass(frozen=True, slots=True)
class JobChoice:
    """The list of jobs, one of them chosen."""

    job: gr.Radio


@dataclass(frozen=True, slots=True)
class StartUpdate:
    """The section of jobs, opened at the new one."""

    sections: gr.Tabs
    jobs: JobChoice


@dataclass(frozen=True, slots=True)
class TrainHandlers:
    """The handlers."""

    studio: Studio
    feedback: Feedback
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Rows read so far of the files that are being checked."""

    def use_sample(self) -> SourceUpdate:
        """Choose the sample dataset, its evaluation rows, and a name."""
        folder = Path(tempfile.mkdtemp(prefix="catalogue-"))
        rows, evaluation = (
            str(shutil.copyfile(SAMPLES / name, folder / name))
            for name in ("catalogue.jsonl", "catalogue-eval.jsonl")
        )
        return SourceUpdate(UPLOADED, [rows], evaluation, "catalogue")

    def choose_source(self, source: str) -> SourceUpdate:
        """Show the file box for files only."""
        return SourceUpdate(files=gr.File(visible=source == UPLOADED))

    def choose_columns(
        self, source: str, files: list[str] | None, offered: str = ""
    ) -> ColumnsUpdate:
        """Offer the first file's columns, and open the choice if no format has such names. Those
        that are offered already stay as they were chosen: Gradio may tell of a file twice."""
        file = files[0] if source == UPLOADED and files else ""
        if file and file == offered:
            return ColumnsUpdate()
        names: list[str] = []
        guesses: dict[str, str] = {}
        is_known = True
        if file:
            names, is_known = column_names(Path(file))
            guesses = {} if is_known else guess_columns(names)
        columns = {field: name for name, field in guesses.items()}
        question = columns.get("prompt") or columns.get("instruction")
        answer = columns.get("completion") or columns.get("output")
        return ColumnsUpdate(
            file,
            gr.Accordion(open=not is_known),
            gr.Dropdown(names, value=question),
            gr.Dropdown(names, value=answer),
        )

    def choose_preset(self, preset: str) -> RecipeUpdate:
        """Show the preset's fields."""
        return RecipeUpdate(preset_values(preset))

    def report(
        self,
        source: str,
        files: list[str] | None,
        evaluation: str | None,
        question: str | None,
        answer: str | None,
        /,
        **fields: FieldValue,
    ) -> ReportUpdate:
        """Say what is in the rows."""
        key = tuple(files or ())
        try:
            paths = self._files(source, files)
            if not paths:
                return ReportUpdate(welcome_html())
            recipe = self.studio.for_base(to_recipe(fields))
            report = self.studio.check(
                paths,
                recipe,
                Path(evaluation) if evaluation else None,
                _mapping(question, answer),
                lambda rows: self.counts.update({key: rows}),
            )
        except (PlaygroundError, OSError) as error:
            return ReportUpdate(note(str(error), bad=True))
        finally:
            self.counts.pop(key, None)
        return ReportUpdate(report_html(report), _start_button(report.num_errors))

    def count(self, shown: str, files: list[str] | None) -> CountUpdate:
        """Say how many rows of the files are read, as long as they are being checked."""
        rows = self.counts.get(tuple(files or ()))
        if rows is None:
            return CountUpdate("" if shown else UNCHANGED)
        return CountUpdate(note(f"Checking: {rows:,} rows read so far"))

    def plan(self, **fields: FieldValue) -> PlanUpdate:
        """Sum the memory that the recipe needs."""
        try:
            return PlanUpdate(plan_html(*self.studio.plan(to_recipe(fields))))
        except PlaygroundError as error:
            return PlanUpdate(note(error.message, bad=True))

    def preview(
        self,
        line: float | None,
        source: str,
        files: list[str] | None,
        question: str | None,
        answer: str | None,
        /,
        **fields: FieldValue,
    ) -> PreviewUpdate:
        """Show a row's tokens, trained ones told from masked ones; line 1 is the first row."""
        try:
            paths = self._files(source, files)
            if not paths or not line:
                return PreviewUpdate("")
            place = int(line) if line > 1 else None  # the first line of a table is its header
            mapping = _mapping(question, answer)
            examples = self.studio.preview(paths[0], place, to_recipe(fields), mapping)
        except PlaygroundError as error:
            return PreviewUpdate(note(error.message))
        return PreviewUpdate(preview_html(examples))

    def availability(self) -> AvailabilityUpdate:
        """Say why this server cannot train, if it cannot."""
        reason = self.studio.training_unavailable
        text = f"This server cannot train: {reason}." if reason else ""
        return AvailabilityUpdate(note(text, bad=True) if text else "")

    def start(
        self,
        source: str,
        files: list[str] | None,
        evaluation: str | None,
        name: str,
        question: str | None,
        answer: str | None,
        /,
        **fields: FieldValue,
    ) -> StartUpdate:
        """Queue the job and show it."""
        paths = self._files(source, files)
        if not paths:
            raise InvalidSettings("no training data: drop a file, or use the sample dataset")
        recipe = to_recipe(fields)
        mapping = _mapping(question, answer)
        held_out = Path(evaluation) if evaluation else None
        report = self.studio.check(paths, self.studio.for_base(recipe), held_out, mapping)
        if report.problems or not report.rows:
            raise InvalidSettings(f"files: {(*report.problems, 'there is no row in them')[0]}")
        job = self.studio.train(
            name.strip(),
            recipe,
            paths,
            held_out,
            columns=mapping,
        )
        jobs = [(job_label(item), item.id) for item in self.studio.training_jobs()]
        return StartUpdate(gr.Tabs(selected="jobs"), JobChoice(gr.Radio(jobs, value=job.id)))

    def _files(self, source: str, files: Sequence[str] | None) -> list[Path]:
        if source == UPLOADED:
            return [Path(file) for file in files or ()]
        rows = self.feedback.rows_for(FEEDBACK_METHODS[source])
        if not rows:
            raise InvalidSettings("there are no votes, edits or thumbs of this kind yet")
        return [Path(download_file("feedback.jsonl", as_jsonl(rows)))]


def _start_button(errors: int) -> gr.Button:
    """Return the button; with errors in the rows, which are then skipped, it asks first."""
    despite = f" despite {errors:,} error{'' if errors == 1 else 's'}" if errors else ""
    return gr.Button(START + despite, elem_classes=["asks-first"] if errors else [])


def _mapping(question: str | None, answer: str | None) -> dict[str, str]:
    """Return the mapping of the columns that were chosen to the fields of a row."""
    chosen = ((question, "prompt"), (answer, "completion"))
    return read_columns({column: field for column, field in chosen if column})
