"""What happens where a new expert is begun: rows are checked, a recipe is chosen, a job queued.

Knows which outputs an event has and in which order; which component they are is finetune.py's
matter. The recipe's fields arrive as keyword arguments.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from finetune.recipe import Recipe
from playground.errors import InvalidSettings, PlaygroundError
from playground.store import Feedback
from playground.store.feedback import as_jsonl
from playground.studio.studio import SAMPLES, Studio
from playground.ui.components.errors import shows_errors
from playground.ui.finetune.layout import FROM_GOOD, FROM_VOTES, UPLOADED
from playground.ui.finetune.recipe_controls import preset_values, to_recipe
from playground.ui.finetune.views import job_label, plan_html, report_html

Updates = tuple[Any, ...]
WELCOME = (
    '<div class="ft-welcome"><h2>Train an expert</h2><p>Drop a file of rows at the left, or take '
    "the sample catalogue. Here it says what is in them: every fault with its line, repeats, "
    "lengths, and what exactly is learned of each row. Training then works on the model that is "
    "already in memory, while people go on chatting.</p></div>"
)


@dataclass(frozen=True, slots=True)
class Train:
    """The handlers."""

    studio: Studio
    feedback: Feedback

    def take_sample(self) -> Updates:
        """The sample catalogue, its evaluation rows, and a name."""
        folder = Path(tempfile.mkdtemp(prefix="catalogue-"))
        paths = [
            str(shutil.copyfile(SAMPLES / name, folder / name))
            for name in ("catalogue.jsonl", "catalogue-eval.jsonl")
        ]
        return UPLOADED, paths[:1], paths[1], "catalogue"

    def choose_source(self, source: str) -> Any:
        """The file box is there for files only."""
        return gr.File(visible=source == UPLOADED)

    def choose_preset(self, preset: str) -> Updates:
        """The preset's fields."""
        return tuple(preset_values(preset))

    def report(
        self, source: str, files: list[str] | None, evaluation: str | None, **fields: Any
    ) -> str:
        """What is in the rows."""
        try:
            paths = self._files(source, files)
            if not paths:
                return WELCOME
            recipe = self.studio.for_base(to_recipe(fields))
            found = self.studio.check(paths, recipe, Path(evaluation) if evaluation else None)
        except (PlaygroundError, OSError) as error:
            return f'<p class="note bad">{escape(str(error))}</p>'
        return report_html(found)

    def plan(self, **fields: Any) -> str:
        """The memory that the recipe takes."""
        try:
            return plan_html(*self.studio.plan(to_recipe(fields)))
        except PlaygroundError as error:
            return f'<p class="note bad">{escape(error.message)}</p>'

    def preview(
        self, line: float | None, source: str, files: list[str] | None, **fields: Any
    ) -> str:
        """A row's tokens, those that are learned told apart."""
        try:
            paths = self._files(source, files)
            if not paths or not line:
                return ""
            shown = self.studio.preview(paths[0], int(line), to_recipe(fields))
        except PlaygroundError as error:
            return f'<p class="note">{escape(error.message)}</p>'
        legend = '<span class="trained">learned</span> <span class="masked">only read</span>'
        return f'<div class="preview"><p class="legend">{legend}</p>{shown}</div>'

    @shows_errors
    def start(
        self,
        source: str,
        files: list[str] | None,
        evaluation: str | None,
        name: str,
        **fields: Any,
    ) -> Updates:
        """Queue the job; the jobs' room opens with it."""
        paths = self._files(source, files)
        if not paths:
            raise InvalidSettings("rows: drop a file, or take the sample catalogue")
        recipe: Recipe = to_recipe(fields)
        job = self.studio.train(
            name.strip(), recipe, paths, Path(evaluation) if evaluation else None
        )
        jobs = [(job_label(each), each.id) for each in self.studio.jobs.all()]
        return gr.Tabs(selected="jobs"), gr.Radio(jobs, value=job.id)

    def _files(self, source: str, files: Sequence[str] | None) -> list[Path]:
        if source == UPLOADED:
            return [Path(each) for each in files or ()]
        kinds = {FROM_GOOD: self.feedback.sft_rows, FROM_VOTES: self.feedback.preference_rows}
        rows = kinds[source]()
        if not rows:
            raise InvalidSettings("nobody has voted, edited or given a thumb up yet")
        path = Path(tempfile.mkdtemp(prefix="feedback-")) / "feedback.jsonl"
        path.write_text(as_jsonl(rows), encoding="utf-8")
        return [path]
