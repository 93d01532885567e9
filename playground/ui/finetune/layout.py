"""The components of the Fine-tune tab, without their events. Sections: train, jobs, adapters."""

from dataclasses import dataclass

import gradio as gr

from playground.models.export.request import GGUF_TYPES
from playground.studio.training import PRESETS
from playground.ui.finetune.recipe_controls import recipe_controls

UPLOADED = "Files"
START = "Start training"
FROM_VOTES = "Preferences: votes and edits"
FROM_GOOD = "Good answers: votes, thumbs up, edits"
FROM_THUMBS = "Labelled answers: thumbs up and down"
SOURCES = [UPLOADED, FROM_GOOD, FROM_VOTES, FROM_THUMBS]
ROW_FILES = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md", ".gz"]
EXPORT_TARGETS = [
    ("PEFT folder", "peft"),
    ("Merged weights (bf16)", "merged"),
    ("GGUF, merged and LoRA", "gguf"),
    ("Ollama folder", "ollama"),
    ("vLLM launch line", "vllm"),
]
REFRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class TrainParts:
    """A new job: rows and recipe on the left, what is in the rows on the right. ``offered`` is the
    file whose columns are offered.
    """

    source: gr.Radio
    files: gr.File
    sample: gr.Button
    offered: gr.State
    columns: gr.Accordion
    question: gr.Dropdown
    answer: gr.Dropdown
    evaluation: gr.File
    name: gr.Textbox
    preset: gr.Dropdown
    fields: dict[str, gr.Component]
    plan: gr.HTML
    unavailable: gr.HTML
    start: gr.Button
    counted: gr.HTML
    report: gr.HTML
    line: gr.Number
    preview: gr.HTML


@dataclass(frozen=True, slots=True)
class JobParts:
    """The jobs: a list on the left, the chosen one on the right. ``seen`` is a signature of what is
    shown.
    """

    seen: gr.State
    job: gr.Radio
    head: gr.HTML
    pause: gr.Button
    resume: gr.Button
    stop: gr.Button
    delete: gr.Button
    curves: gr.HTML
    samples: gr.HTML
    try_out: gr.Accordion
    checkpoint: gr.Slider
    question: gr.Textbox
    answer: gr.HTML
    name: gr.Textbox
    promote: gr.Checkbox
    publish: gr.Button
    card: gr.HTML
    card_files: gr.File
    timer: gr.Timer


@dataclass(frozen=True, slots=True)
class AdapterParts:
    """The store: every version, and what can be done with one."""

    table: gr.HTML
    version: gr.Dropdown
    note: gr.HTML
    preview: gr.Button
    promote: gr.Button
    roll_back: gr.Button
    retire: gr.Button
    delete: gr.Button
    target: gr.Dropdown
    gguf_type: gr.Dropdown
    export: gr.Button
    files: gr.File
    name: gr.Textbox
    import_adapter: gr.Button
    card: gr.JSON


@dataclass(frozen=True, slots=True)
class FinetuneParts:
    """The three sections."""

    sections: gr.Tabs
    train: TrainParts
    jobs: JobParts
    adapters: AdapterParts


def finetune_parts(preset: str) -> FinetuneParts:
    """Build the components in the current layout."""
    with gr.Tabs(elem_classes="rooms", elem_id="ft-rooms", selected="train") as sections:
        with gr.Tab("New fine-tune", id="train"):
            train = _train(preset)
        with gr.Tab("Jobs", id="jobs"):
            jobs = _jobs()
        with gr.Tab("Adapters", id="adapters"):
            adapters = _adapters()
    return FinetuneParts(sections, train, jobs, adapters)


def _train(preset: str) -> TrainParts:
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            source = gr.Radio(SOURCES, value=UPLOADED, label="Training data", elem_id="ft-source")
            files = gr.File(
                label="JSONL, JSON, CSV, TSV, Parquet or text",
                file_count="multiple",
                file_types=ROW_FILES,
                height=130,
                elem_id="ft-files",
            )
            sample = gr.Button("Use the sample dataset", size="sm", elem_id="ft-sample")
            with gr.Accordion("Columns", open=False, elem_id="ft-columns") as columns, gr.Row():
                question = gr.Dropdown([], label="Question", elem_id="ft-question-column")
                answer = gr.Dropdown([], label="Answer", elem_id="ft-answer-column")
            with gr.Accordion("Separate evaluation file", open=False):
                evaluation = gr.File(
                    label="Evaluation rows", file_types=ROW_FILES, height=130, elem_id="ft-eval"
                )
            name = gr.Textbox(
                label="Name",
                info="Name of the fine-tuned model: letters, digits, '.', '_' and '-'.",
                placeholder="catalogue",
                max_lines=1,
                elem_id="ft-name",
            )
            chosen = gr.Dropdown(list(PRESETS), value=preset, label="Recipe", elem_id="ft-preset")
            fields = recipe_controls(preset)
        with gr.Column(elem_classes="work scrolling"):
            unavailable = gr.HTML(elem_id="ft-unavailable", container=False)
            with gr.Row(elem_classes="actions start"):
                start = gr.Button(START, variant="primary", elem_id="ft-start")
            counted = gr.HTML(elem_id="ft-counted", container=False)
            with gr.Row(elem_classes="report-and-plan"):
                report = gr.HTML(elem_id="ft-report", container=False)
                plan = gr.HTML(elem_id="ft-plan", container=False)
            with gr.Row(elem_classes="actions"):
                line = gr.Number(1, label="Preview line", precision=0, minimum=1, elem_id="ft-line")
            preview = gr.HTML(elem_id="ft-preview", container=False)
    return TrainParts(
        source=source,
        files=files,
        sample=sample,
        offered=gr.State(""),
        columns=columns,
        question=question,
        answer=answer,
        evaluation=evaluation,
        name=name,
        preset=chosen,
        fields=fields,
        plan=plan,
        unavailable=unavailable,
        start=start,
        counted=counted,
        report=report,
        line=line,
        preview=preview,
    )


def _jobs() -> JobParts:
    timer = gr.Timer(REFRESH_S)
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup narrow"):
            job = gr.Radio([], label="Jobs, latest first", elem_id="ft-job")
        with gr.Column(elem_classes="work scrolling"):
            head = gr.HTML(elem_id="ft-head", container=False)
            with gr.Row(elem_classes="actions"):
                pause = gr.Button("Pause", visible=False, elem_id="ft-pause")
                resume = gr.Button("Resume", visible=False, elem_id="ft-resume")
                stop = gr.Button("Stop", visible=False, elem_id="ft-stop")
                delete = gr.Button(
                    "Delete", visible=False, elem_id="ft-delete", elem_classes="asks-first"
                )
            curves = gr.HTML(elem_id="ft-curves", container=False)
            samples = gr.HTML(elem_id="ft-samples", container=False)
            with gr.Accordion("Try a checkpoint", open=False, elem_id="ft-talk") as try_out:
                checkpoint = gr.Slider(
                    0, 1, 0, step=1, label="Step", buttons=[], elem_id="ft-checkpoint"
                )
                question = gr.Textbox(
                    label="Message", max_lines=4, submit_btn=True, elem_id="ft-question"
                )
                answer = gr.HTML(elem_id="ft-answer", container=False)
            with gr.Row(elem_classes="actions", elem_id="ft-publishing"):
                name = gr.Textbox(
                    label="Publish as", max_lines=1, placeholder="the job's name", elem_id="ft-as"
                )
                promote = gr.Checkbox(False, label="Promote immediately", elem_id="ft-promote-it")
                publish = gr.Button(
                    "Publish", variant="primary", interactive=False, elem_id="ft-publish"
                )
            card = gr.HTML(elem_id="ft-card", container=False)
            files = gr.File(
                label="The report card as a page, JSON and Markdown",
                visible=False,
                interactive=False,
                elem_id="ft-card-files",
            )
    return JobParts(
        seen=gr.State(""),
        job=job,
        head=head,
        pause=pause,
        resume=resume,
        stop=stop,
        delete=delete,
        curves=curves,
        samples=samples,
        try_out=try_out,
        checkpoint=checkpoint,
        question=question,
        answer=answer,
        name=name,
        promote=promote,
        publish=publish,
        card=card,
        card_files=files,
        timer=timer,
    )


def _adapters() -> AdapterParts:
    with gr.Row(elem_classes="studio"), gr.Column(elem_classes="work scrolling"):
        table = gr.HTML(elem_id="ad-table", container=False)
        version = gr.Dropdown([], label="Version", elem_id="ad-version")
        note = gr.HTML(elem_classes="verdict", elem_id="ad-note", container=False)
        with gr.Row(elem_classes="actions"):
            preview = gr.Button("Try", elem_id="ad-try")
            promote = gr.Button("Promote", variant="primary", elem_id="ad-promote")
            roll_back = gr.Button("Roll back", elem_id="ad-roll-back", elem_classes="asks-first")
            retire = gr.Button("Retire", elem_id="ad-retire", elem_classes="asks-first")
            delete = gr.Button("Delete", elem_id="ad-delete", elem_classes="asks-first")
        with gr.Accordion("Export", open=False):
            with gr.Row():
                target = gr.Dropdown(EXPORT_TARGETS, value="peft", label="To", elem_id="ad-target")
                gguf_type = gr.Dropdown(
                    list(GGUF_TYPES),
                    value="f16",
                    label="Matrices of GGUF files",
                    elem_id="ad-gguf-type",
                )
            export = gr.Button("Export", elem_id="ad-export")
        with gr.Accordion("Import an adapter", open=False):
            files = gr.File(
                label="PEFT's adapter_config.json and adapter_model.safetensors, or "
                "mistral-finetune's params.json and lora.safetensors",
                file_count="multiple",
                height=130,
                elem_id="ad-files",
            )
            name = gr.Textbox(label="Name", max_lines=1, elem_id="ad-name")
            import_adapter = gr.Button("Import", elem_id="ad-import")
        with gr.Accordion("Card", open=False):
            card = gr.JSON(None, show_label=False, elem_id="ad-card")
    return AdapterParts(
        table=table,
        version=version,
        note=note,
        preview=preview,
        promote=promote,
        roll_back=roll_back,
        retire=retire,
        delete=delete,
        target=target,
        gguf_type=gguf_type,
        export=export,
        files=files,
        name=name,
        import_adapter=import_adapter,
        card=card,
    )
