"""The components of the Chat tab, without their events."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from playground.models.catalogue import find
from playground.protocol import ModelInfo
from playground.ui.chat.presets import PresetParts, preset_parts
from playground.ui.chat.prompts import PanelParts, SavingParts, panel_parts, saving_parts
from playground.ui.chat.tokens import TokenParts, token_parts
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.examples import examples_for
from playground.ui.components.markup import render
from playground.ui.components.preferences import preferences_store
from playground.ui.components.sampling import SamplingControls, sampling_controls
from playground.ui.components.shown_text import LATEX
from playground.ui.components.status import meter, note_line


@dataclass(frozen=True, slots=True)
class ChatParts:
    """The components that events read and write. ``running`` holds the id of the request that is
    being answered in this session, ``conversation`` that of the kept conversation that is shown,
    ``prompt`` the stored prompt that was filled in, as ``NAME@VERSION``; empty for none.
    """

    model: gr.Dropdown
    new_chat: gr.Button
    temporary: gr.Checkbox
    conversation: gr.Textbox
    prompt: gr.Textbox
    view_code: gr.Button
    chatbot: gr.Chatbot
    message: gr.Textbox
    note: gr.HTML
    meter: gr.HTML
    chip: gr.HTML
    running: gr.State
    system: gr.Textbox
    sampling: SamplingControls
    reset: gr.Button
    code: CodeParts
    preferences: gr.BrowserState
    prompt_panel: PanelParts
    saving: SavingParts
    tokens: TokenParts
    presets: PresetParts


def chat_parts(models: Sequence[ModelInfo], code: CodeParts) -> ChatParts:
    """Build the components in the current layout, set up for the first of ``models``.

    Nothing can be sent or set yet (no example cards; message box and settings are disabled): until
    the browser's values are restored, empty number fields report zero, and changes would be lost.
    """
    default = models[0]
    with gr.Row(elem_id="workspace"):
        with gr.Column(elem_id="conversation"):
            with gr.Row(elem_id="toolbar"):
                model = gr.Dropdown(
                    [info.name for info in models],
                    value=default.name,
                    label="Model",
                    show_label=False,
                    container=False,
                    interactive=False,
                    elem_id="model",
                )
                temporary = gr.Checkbox(
                    label="Temporary chat", container=False, min_width=0, elem_id="temporary"
                )
                new_chat = gr.Button("New chat", size="sm", elem_id="new-chat")
                view_code = gr.Button("View code", size="sm", elem_id="view-code")
            chatbot = _chatbot(default)
            conversation = gr.Textbox(visible="hidden", elem_id="chat-conversation")
            prompt = gr.Textbox(visible="hidden", elem_id="chat-prompt-version-used")
            with gr.Column(elem_id="composer"):
                chip = gr.HTML("", elem_id="system-chip", container=False)
                prompt_panel = panel_parts()
                with gr.Row(elem_id="status"):
                    note = gr.HTML(note_line(""), elem_id="chat-note", container=False)
                    used = gr.HTML(
                        meter(0, default.context_length), elem_id="chat-meter", container=False
                    )
                message = _message_box()
        with gr.Column(elem_id="settings"):
            gr.HTML(render("chat/close.html"), container=False)
            system, sampling, reset = _settings(default)
            presets = preset_parts()
            saving = saving_parts()
            tokens = token_parts()
    return ChatParts(
        model=model,
        new_chat=new_chat,
        temporary=temporary,
        conversation=conversation,
        prompt=prompt,
        view_code=view_code,
        chatbot=chatbot,
        message=message,
        note=note,
        meter=used,
        chip=chip,
        running=gr.State(""),
        system=system,
        sampling=sampling,
        reset=reset,
        code=code,
        preferences=preferences_store(),
        prompt_panel=prompt_panel,
        saving=saving,
        tokens=tokens,
        presets=presets,
    )


def welcome(model: ModelInfo) -> str:
    """Return the text of the empty conversation."""
    entry = find(model.name)
    return render("chat/welcome.html", model=model, upgrade=entry.upgrade if entry else None)


def example_cards(model: str) -> list[dict[str, str]]:
    """Return the examples as the Chatbot shows them while it is empty."""
    return [
        {"display_text": example.title, "text": example.prompt}
        for example in examples_for(model).chat
    ]


def _chatbot(model: ModelInfo) -> gr.Chatbot:
    return gr.Chatbot(
        label="Conversation",
        show_label=False,
        container=False,
        elem_id="chat",
        height="100%",
        placeholder=welcome(model),
        editable="all",
        autoscroll=False,
        buttons=["copy"],
        latex_delimiters=list(LATEX),
        sanitize_html=True,
        allow_tags=False,
        layout="bubble",
        feedback_options=("Like", "Dislike"),
    )


def _message_box() -> gr.Textbox:
    return gr.Textbox(
        interactive=False,
        label="Message",
        show_label=False,
        container=False,
        placeholder="Write a message",
        lines=1,
        max_lines=10,
        submit_btn=True,
        stop_btn=False,
        elem_id="message",
        html_attributes=gr.InputHTMLAttributes(enterkeyhint="send"),
    )


def _settings(model: ModelInfo) -> tuple[gr.Textbox, SamplingControls, gr.Button]:
    system = gr.Textbox(
        label="System prompt",
        info="Instructions that the model reads before the conversation.",
        placeholder="You are a helpful assistant.",
        lines=3,
        max_lines=12,
        interactive=False,
        elem_id="system",
    )
    sampling = sampling_controls(model.defaults)
    reset = gr.Button("Reset to the model's defaults", size="sm", elem_id="reset")
    return system, sampling, reset
