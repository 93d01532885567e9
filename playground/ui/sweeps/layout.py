"""The components of the Evaluate tab, without their events."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from playground.protocol import ModelInfo
from playground.settings.usage import DEFAULT_PRICE
from playground.ui.sweeps.form import GRADERS
from playground.ui.sweeps.views import ANSWER_HEADS, CELL_HEADS

REFRESH_S = 1.5
CELL_WIDTHS: list[str | int] = [
    "236px", "80px", "92px", "96px", "84px", "84px", "84px", "116px", "80px",
]  # fmt: skip
FIRST_GRADER = next(iter(GRADERS))


@dataclass(frozen=True, slots=True)
class SetupParts:
    """What a sweep is made of. ``form`` holds its inputs by the names of the handlers' arguments,
    ``graders`` those that were added."""

    form: dict[str, gr.Component]
    rated: gr.Button
    history: gr.Button
    kind: gr.Dropdown
    value: gr.Textbox
    add: gr.Button
    clear: gr.Button
    graders: gr.State
    listed: gr.HTML
    start: gr.Button
    document: gr.File
    start_document: gr.Button


@dataclass(frozen=True, slots=True)
class WorkParts:
    """The sweeps, and the one that is shown. ``seen`` is a signature of what is shown."""

    seen: gr.State
    timer: gr.Timer
    sweep: gr.Dropdown
    head: gr.HTML
    stop: gr.Button
    resume: gr.Button
    delete: gr.Button
    result: gr.DownloadButton
    plot: gr.HTML
    views: gr.Column
    cells: gr.Dataframe
    cell: gr.Dropdown
    answers: gr.Dataframe
    most: gr.Number
    make_rows: gr.Button
    training: gr.DownloadButton
    made: gr.HTML
    first: gr.Dropdown
    second: gr.Dropdown
    comparison: gr.HTML


@dataclass(frozen=True, slots=True)
class EvaluateParts:
    """The tab's components."""

    setup: SetupParts
    work: WorkParts


def evaluate_parts(models: Sequence[ModelInfo], *, saved: bool, history: bool) -> EvaluateParts:
    """Build the components in the current layout; with ``saved``, prompts that are stored
    can be chosen, with ``history``, kept conversations are taken as rows."""
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            setup = _setup(models, saved, history)
        with gr.Column(elem_classes="work scrolling"):
            work = _work()
    return EvaluateParts(setup, work)


def _setup(models: Sequence[ModelInfo], saved: bool, history: bool) -> SetupParts:
    name = gr.Textbox(label="Name", placeholder="sweep", max_lines=1, elem_id="ev-name")
    saved_prompts = gr.Dropdown(
        [], value=[], multiselect=True, label="Stored prompts", visible=saved,
        elem_id="ev-saved",
    )  # fmt: skip
    systems = gr.Textbox(
        label="System prompts",
        info="One version per block; a line of --- separates them.",
        lines=3,
        max_lines=14,
        elem_id="ev-systems",
    )
    message = gr.Textbox(
        label="Message",
        info="{{ field }} is a field of the row. Empty sends the row's own conversation or input.",
        placeholder="{{ input }}",
        lines=2,
        max_lines=10,
        elem_id="ev-message",
    )
    chosen = gr.Dropdown(
        [info.name for info in models], value=[models[0].name], multiselect=True, label="Models",
        elem_id="ev-models",
    )  # fmt: skip
    with gr.Row(elem_classes="pair"):
        temperature = gr.Textbox(
            "0", label="Temperature", placeholder="0, 0.7", max_lines=1, min_width=80,
            elem_id="ev-temperature",
        )  # fmt: skip
        max_tokens = gr.Textbox(
            "256", label="Max tokens", max_lines=1, min_width=80, elem_id="ev-max-tokens"
        )
        seed = gr.Textbox("0", label="Seed", max_lines=1, min_width=80, elem_id="ev-seed")
    rows, file, rated, kept = _rows(history)
    kind, value, add, clear, listed = _graders()
    start = gr.Button("Start sweep", variant="primary", elem_id="ev-start")
    with gr.Accordion("More", open=False):
        price = gr.Number(
            DEFAULT_PRICE.output,
            label="Price, USD per million tokens",
            minimum=0,
            elem_id="ev-price",
        )
        document = gr.File(
            label="A sweep, lm-eval tasks, promptfoo or OpenAI evals file (YAML, JSON)",
            file_types=[".yaml", ".yml", ".json"],
            height=120,
            elem_id="ev-document",
        )
        start_document = gr.Button("Start sweep from file", elem_id="ev-start-document")
    form = {
        "name": name, "saved": saved_prompts, "systems": systems, "message": message,
        "models": chosen, "temperature": temperature, "max_tokens": max_tokens, "seed": seed,
        "file": file, "rows": rows, "price": price,
    }  # fmt: skip
    return SetupParts(
        form,
        rated,
        kept,
        kind,
        value,
        add,
        clear,
        gr.State([]),
        listed,
        start,
        document,
        start_document,
    )


def _rows(history: bool) -> tuple[gr.Textbox, gr.File, gr.Button, gr.Button]:
    rows = gr.Textbox(
        label="Rows",
        info="JSON lines, or CSV with a header. The field “expected” holds the reference answer.",
        placeholder='{"input": "What is the capital of France?", "expected": "Paris"}',
        lines=5,
        max_lines=16,
        elem_id="ev-rows",
    )
    rated = gr.Button("Use rated and edited answers", size="sm", elem_id="ev-rated")
    kept = gr.Button(
        "Use the latest conversations", size="sm", visible=history, elem_id="ev-history"
    )
    file = gr.File(
        label="Or a file: JSONL, JSON, CSV, TSV",
        file_types=[".jsonl", ".json", ".csv", ".tsv"],
        height=120,
        elem_id="ev-file",
    )
    return rows, file, rated, kept


def _graders() -> tuple[gr.Dropdown, gr.Textbox, gr.Button, gr.Button, gr.HTML]:
    listed = gr.HTML("", elem_id="ev-graders", container=False)
    kind = gr.Dropdown(
        list(GRADERS), value=FIRST_GRADER, label="Grader", filterable=False, elem_id="ev-kind"
    )
    value = gr.Textbox(
        label="Value",
        placeholder=GRADERS[FIRST_GRADER][1],
        lines=1,
        max_lines=10,
        elem_id="ev-value",
    )
    with gr.Row(elem_classes="actions"):
        add = gr.Button("Add grader", elem_id="ev-add")
        clear = gr.Button("Remove all", elem_id="ev-clear")
    return kind, value, add, clear, listed


def _work() -> WorkParts:
    sweep = gr.Dropdown([], label="Sweep", visible=False, elem_id="ev-sweep")
    head = gr.HTML(elem_id="ev-head", container=False)
    with gr.Row(elem_classes="actions"):
        stop = gr.Button("Stop", visible=False, elem_id="ev-stop")
        resume = gr.Button("Resume", visible=False, elem_id="ev-resume")
        result = gr.DownloadButton("Download result", visible=False, elem_id="ev-result")
        delete = gr.Button("Delete", visible=False, elem_id="ev-delete", elem_classes="asks-first")
    cells = gr.Dataframe(
        headers=list(CELL_HEADS), datatype=["str", *["number"] * (len(CELL_HEADS) - 1)],
        column_widths=CELL_WIDTHS, show_label=False, interactive=False, visible=False,
        elem_id="ev-cells",
    )  # fmt: skip
    plot = gr.HTML(elem_id="ev-plot", container=False)
    with gr.Column(visible=False) as views:
        cell, answers, most, make_rows, training, made, first, second, comparison = _views()
    return WorkParts(
        gr.State(""), gr.Timer(REFRESH_S), sweep, head, stop, resume, delete, result, plot, views,
        cells, cell, answers, most, make_rows, training, made, first, second, comparison,
    )  # fmt: skip


def _views() -> tuple[
    gr.Dropdown,
    gr.Dataframe,
    gr.Number,
    gr.Button,
    gr.DownloadButton,
    gr.HTML,
    gr.Dropdown,
    gr.Dropdown,
    gr.HTML,
]:
    with gr.Tabs(elem_id="ev-views"):
        with gr.Tab("Answers"):
            cell = gr.Dropdown([], label="Cell", elem_id="ev-cell")
            answers = gr.Dataframe(
                headers=list(ANSWER_HEADS),
                datatype=["number", "str", "str", "str", "number", "str"],
                column_widths=["7%", "23%", "20%", "28%", "8%", "14%"],
                show_label=False, interactive=False, wrap=True, elem_id="ev-answers",
            )  # fmt: skip
            with gr.Row(elem_classes="actions", elem_id="ev-worst"):
                most = gr.Number(
                    20, label="Worst answers", precision=0, minimum=1, maximum=10_000,
                    elem_id="ev-most",
                )  # fmt: skip
                make_rows = gr.Button("Make training rows", elem_id="ev-make-rows")
                training = gr.DownloadButton(
                    "Download training rows", visible=False, elem_id="ev-training"
                )
            made = gr.HTML("", elem_classes="verdict", elem_id="ev-made", container=False)
        with gr.Tab("Compare two cells"):
            with gr.Row(elem_classes="pair"):
                first = gr.Dropdown([], label="Cell", elem_id="ev-first")
                second = gr.Dropdown([], label="Against", elem_id="ev-second")
            comparison = gr.HTML("", elem_id="ev-comparison", container=False)
    return cell, answers, most, make_rows, training, made, first, second, comparison
