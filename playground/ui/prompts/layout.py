"""The components of the Prompts tab, without their events."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from playground.protocol import ModelInfo
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.shown_text import LATEX
from playground.ui.prompts.editor import DEFAULT_MODEL

VARIABLES_HELP = "Variables found in the texts. Types: text, long_text, number, choice, date, file"


@dataclass(frozen=True, slots=True)
class PromptParts:
    """The components that events read and write. ``form`` holds the editor's fields by the names of
    `EditorForm`; ``opened`` the version that the editor began with, as ``NAME@NUMBER``; ``tried`` a
    content with the variables that are asked for, as JSON. It is a hidden
    component, as nothing hears of a state that an unqueued event changes (Gradio 6.31).
    """

    prompt: gr.Dropdown
    new: gr.Button
    version: gr.Dropdown
    about: gr.HTML
    label: gr.Dropdown
    set_label: gr.Button
    remove_label: gr.Button
    name: gr.Textbox
    rename: gr.Button
    opened: gr.Textbox
    tags: gr.Textbox
    import_file: gr.UploadButton
    export: gr.DownloadButton
    delete: gr.Button
    form: dict[str, gr.Component]
    problem: gr.HTML
    message: gr.Textbox
    save: gr.Button
    view_code: gr.Button
    tried: gr.JSON
    tried_on: gr.Dropdown
    run: gr.Button
    stop: gr.Button
    running: gr.State
    answer: gr.Markdown
    note: gr.HTML
    compared: gr.Dropdown
    diff: gr.HTML
    link: gr.Textbox
    code: CodeParts
    tabs: gr.Tabs


def prompt_parts(
    models: Sequence[ModelInfo], tabs: gr.Tabs, code: CodeParts
) -> tuple[PromptParts, gr.Column]:
    """Build the components in the current layout; the column is where the variables are asked
    for."""
    names = [info.name for info in models]
    with gr.Row(elem_classes="studio prompts"):
        with gr.Column(elem_classes="setup"):
            library = _library()
        with gr.Column(elem_classes="work scrolling"):
            form, problem = _editor(names)
            with gr.Row(elem_classes="actions save-row"):
                message = gr.Textbox(
                    label="What changed",
                    show_label=False,
                    container=False,
                    placeholder="What changed, as a commit message",
                    max_lines=1,
                    elem_id="pr-message",
                )
                save = gr.Button("Save as new version", variant="primary", elem_id="pr-save")
            with gr.Column(elem_classes="try"):
                gr.HTML("<h3>Try it</h3>", container=False)
                with gr.Column(elem_id="pr-values") as values:
                    pass
                with gr.Row(elem_classes="actions"):
                    tried_on = gr.Dropdown(
                        names,
                        value=names[0],
                        label="Model",
                        show_label=False,
                        container=False,
                        elem_id="pr-tried-on",
                    )
                    run = gr.Button("Run", variant="primary", elem_id="pr-run")
                    stop = gr.Button("Stop", visible=False, elem_id="pr-stop")
                    view_code = gr.Button("View code", elem_id="pr-code-button")
                answer = gr.Markdown(
                    elem_id="pr-answer",
                    elem_classes="answer-markdown",
                    container=False,
                    latex_delimiters=list(LATEX),
                    line_breaks=True,
                    sanitize_html=True,
                )
                note = gr.HTML(elem_id="pr-note", container=False)
            with gr.Accordion("Compare versions", open=False, elem_id="pr-compare"):
                compared = gr.Dropdown(
                    [], label="Changes since", interactive=True, elem_id="pr-compared"
                )
                diff = gr.HTML(elem_id="pr-diff", container=False)
    parts = PromptParts(
        **library,
        form=form,
        problem=problem,
        message=message,
        save=save,
        view_code=view_code,
        opened=gr.Textbox("", visible="hidden", label="Opened", elem_id="pr-opened"),
        tried=gr.JSON({}, visible="hidden", elem_id="pr-tried"),
        tried_on=tried_on,
        run=run,
        stop=stop,
        running=gr.State(""),
        answer=answer,
        note=note,
        compared=compared,
        diff=diff,
        link=gr.Textbox("", visible=False, label="Link"),
        code=code,
        tabs=tabs,
    )
    return parts, values


def _library() -> dict[str, gr.components.Component]:
    """The stored prompts, and what is done with the chosen one."""
    with gr.Row(elem_classes="pair pick"):
        prompt = gr.Dropdown([], label="Prompt", interactive=True, elem_id="pr-prompt")
        new = gr.Button("New", size="sm", elem_id="pr-new")
    version = gr.Dropdown([], label="Version", interactive=True, elem_id="pr-version")
    about = gr.HTML(elem_id="pr-about", container=False)
    name = gr.Textbox(
        label="Name",
        placeholder="summarize",
        info="Letters, digits and . _ -; saving under a new name makes a new prompt.",
        max_lines=1,
        elem_id="pr-name",
    )
    rename = gr.Button("Rename this prompt", size="sm", elem_id="pr-rename")
    tags = gr.Textbox(label="Tags", placeholder="support, english", max_lines=1, elem_id="pr-tags")
    label = gr.Dropdown(
        ["production", "staging"],
        value="production",
        allow_custom_value=True,
        label="Label",
        info="References without a version get the one labelled production.",
        elem_id="pr-label",
    )
    with gr.Row(elem_classes="actions"):
        set_label = gr.Button("Point at this version", size="sm", elem_id="pr-set-label")
        remove_label = gr.Button("Remove label", size="sm", elem_id="pr-remove-label")
    with gr.Row(elem_classes="actions"):
        import_file = gr.UploadButton(
            "Import YAML", size="sm", file_types=[".yaml", ".yml"], elem_id="pr-import"
        )
        export = gr.DownloadButton("Export YAML", size="sm", elem_id="pr-export")
        delete = gr.Button("Delete", size="sm", elem_classes="asks-first", elem_id="pr-delete")
    return {
        "prompt": prompt, "new": new, "version": version, "about": about, "label": label,
        "set_label": set_label, "remove_label": remove_label, "name": name, "rename": rename,
        "tags": tags,
        "import_file": import_file, "export": export, "delete": delete,
    }  # fmt: skip


def _editor(models: Sequence[str]) -> tuple[dict[str, gr.Component], gr.HTML]:
    system = gr.Textbox(
        "",
        label="System prompt",
        placeholder="You translate into {{ language }}.",
        lines=3,
        max_lines=16,
        elem_id="pr-system",
    )
    user = gr.Textbox(
        "",
        label="Message",
        placeholder="Translate: {{ text }}",
        lines=4,
        max_lines=24,
        elem_id="pr-user",
    )
    problem = gr.HTML("", elem_classes="verdict", elem_id="pr-problem", container=False)
    gr.HTML(f"<p class='note'>{VARIABLES_HELP}</p>", container=False)
    variables = _yaml("Variables", "pr-variables", lines=3)
    with gr.Accordion("Model, settings, schema, tools", open=False, elem_id="pr-settings"):
        model = gr.Dropdown(
            [DEFAULT_MODEL, *models],
            value=DEFAULT_MODEL,
            allow_custom_value=True,
            label="Model",
            elem_id="pr-model",
        )
        sampling = _yaml("Settings, such as temperature: 0.2", "pr-sampling", max_lines=16)
        schema = _yaml("JSON schema of the answer (JSON or YAML)", "pr-schema")
        tools = _yaml("Tools in OpenAI's form (JSON or YAML)", "pr-tools")
        others = _yaml("Earlier messages: a list of role and content", "pr-others")
    form: dict[str, gr.Component] = {
        "system": system, "user": user, "others": others, "variables": variables, "model": model,
        "sampling": sampling, "schema": schema, "tools": tools,
    }  # fmt: skip
    return form, problem


def _yaml(label: str, elem_id: str, *, lines: int = 2, max_lines: int = 24) -> gr.Code:
    return gr.Code(
        "",
        language="yaml",
        label=label,
        lines=lines,
        max_lines=max_lines,
        wrap_lines=True,
        elem_id=elem_id,
    )
