"""The components of the sidebar, without their events."""

from dataclasses import dataclass

import gradio as gr

from playground.lab.history import FORMATS

EVERYTHING = "all"
ARCHIVED = "archived"
SELECT = """
const toggle = element.closest('.sidebar')?.querySelector('.toggle-button');
for (const name of ['aria-label', 'title']) toggle?.setAttribute(name, 'Conversations');
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.dataset.conversation) {
    trigger('select', {conversation: button.dataset.conversation});
    if (matchMedia('(max-width: 640px)').matches)
      toggle?.click();
  }
  if (button?.dataset.more) trigger('like');
});
"""


@dataclass(frozen=True, slots=True)
class DetailParts:
    """What can be done with the conversation that is open. ``opened`` holds its id."""

    panel: gr.Column
    opened: gr.State
    title: gr.Textbox
    folder: gr.Dropdown
    tags: gr.Dropdown
    save: gr.Button
    branch: gr.Dropdown
    turn: gr.Dropdown
    fork: gr.Button
    form: gr.Dropdown
    download: gr.DownloadButton
    archive: gr.Button
    delete: gr.Button
    confirm: gr.Row
    really: gr.Button
    keep: gr.Button


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """The sidebar. ``limit`` is how many conversations are listed."""

    query: gr.Textbox
    scope: gr.Dropdown
    listed: gr.HTML
    limit: gr.State
    details: DetailParts
    upload: gr.UploadButton
    prepare: gr.Button
    backup: gr.DownloadButton
    note: gr.HTML


def history_parts(page_size: int) -> HistoryParts:
    """Build the components in the current layout."""
    with gr.Sidebar(open=False, position="left", width=300, elem_id="history"):
        query = gr.Textbox(
            label="Search conversations", show_label=False, container=False,
            placeholder="Search conversations", elem_id="history-query",
        )  # fmt: skip
        scope = gr.Dropdown(
            [("All conversations", EVERYTHING), ("Archived", ARCHIVED)], value=EVERYTHING,
            label="Folder or tag", show_label=False, container=False, elem_id="history-scope",
        )  # fmt: skip
        listed = gr.HTML("", js_on_load=SELECT, elem_id="history-list", container=False)
        note = gr.HTML("", elem_id="history-note", container=False)
        details = _details()
        with gr.Accordion("Import and export", open=False, elem_id="history-files"):
            upload = gr.UploadButton(
                "Import a file", size="sm", file_types=[".json", ".jsonl", ".zip"],
                elem_id="history-import",
            )  # fmt: skip
            gr.Markdown(
                "Conversations exported here, from ChatGPT or Open WebUI, or in ShareGPT's form.",
                elem_classes="hint",
            )
            prepare = gr.Button("Export everything", size="sm", elem_id="history-export")
            backup = gr.DownloadButton("Download", size="sm", visible=False)
    return HistoryParts(
        query, scope, listed, gr.State(page_size), details, upload, prepare, backup, note
    )


def _details() -> DetailParts:
    with (
        gr.Column(visible=False, elem_id="history-details") as panel,
        gr.Accordion("This conversation", open=False),
    ):
        title = gr.Textbox(label="Title", elem_id="history-title")
        folder = gr.Dropdown([], label="Folder", allow_custom_value=True, elem_id="history-folder")
        tags = gr.Dropdown(
            [], label="Tags", multiselect=True, allow_custom_value=True, elem_id="history-tags"
        )
        save = gr.Button("Save", size="sm", variant="primary", elem_id="history-save")
        branch = gr.Dropdown([], label="Branch", visible=False, elem_id="history-branch")
        turn = gr.Dropdown([], label="Fork after", elem_id="history-turn")
        fork = gr.Button("Fork", size="sm", elem_id="history-fork")
        form = gr.Dropdown(
            [(name, form) for form, name in FORMATS.items()], value="json", label="Export as",
            elem_id="history-form",
        )  # fmt: skip
        download = gr.DownloadButton("Export", size="sm", elem_id="history-download")
        with gr.Row(elem_classes="actions"):
            archive = gr.Button("Archive", size="sm", elem_id="history-archive")
            delete = gr.Button("Delete…", size="sm", elem_id="history-delete")
        with gr.Row(visible=False, elem_classes="actions") as confirm:
            gr.Markdown("Delete this conversation with all its branches?", elem_classes="hint")
            really = gr.Button("Delete", size="sm", variant="stop", elem_id="history-really")
            keep = gr.Button("Keep", size="sm")
    return DetailParts(
        panel, gr.State(""), title, folder, tags, save, branch, turn, fork, form, download,
        archive, delete, confirm, really, keep,
    )  # fmt: skip
