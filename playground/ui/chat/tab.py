"""The Chat tab: a conversation with one model, its settings beside it."""

from functools import partial
from typing import Any

import gradio as gr

from playground.protocol import Backend
from playground.settings import Settings
from playground.store import Feedback
from playground.ui.chat.events import Chat
from playground.ui.chat.layout import ChatParts, chat_parts
from playground.ui.components.examples import read_examples
from playground.ui.components.preferences import preferences_store

FOCUS_MESSAGE = "() => document.querySelector('#message textarea')?.focus()"
# Plumbing of the page: not for API clients, no progress overlay, answered at once. Not queued:
# a queued event that starts while the session's last stream is closing is lost (Gradio 6.31,
# the client takes the stream for open), so only what streams may use one.
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
ANSWERS: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "full",
    "concurrency_limit": None,
}
# A button that may be refused: an error of an event that is not queued is not shown (Gradio 6.31).
ACTS: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}


def chat_tab(page: Any, backend: Backend, settings: Settings, feedback: Feedback) -> Any:
    """Build the tab where it is called and wire its events. Returns its choice of model."""
    examples = read_examples()
    parts = chat_parts(backend.models())
    chat = Chat(backend, feedback, examples, needs_key=settings.access.api_key is not None)
    _wire_conversation(parts, chat)
    _wire_settings(page, parts, chat)
    _wire_code(parts, chat)
    gr.api(chat.reply, api_name="chat", concurrency_limit=None)
    return parts.model


def _wire_conversation(parts: ChatParts, chat: Chat) -> None:
    """Send, stop, retry, edit, undo, examples and the new chat."""
    asked = [parts.model, parts.system]
    shown = [parts.chatbot, parts.message, parts.running, parts.status]
    answers: dict[str, Any] = {
        "outputs": shown,
        "inputs_kwargs": parts.sampling.by_name(),
        "show_progress_on": parts.chatbot,
        **ANSWERS,
    }
    sends = [parts.message, parts.chatbot, parts.running, *asked]
    send = parts.message.submit(chat.send, sends, **answers)
    picked = parts.chatbot.example_select(
        chat.choose_example, parts.model, [parts.system, parts.message], **QUIET
    )
    example = picked.then(chat.send, sends, **answers)
    # A retry or an edit ends whatever is still being written.
    others = [send, example]
    retry = parts.chatbot.retry(chat.retry, [parts.chatbot, *asked], cancels=others, **answers)
    edit = parts.chatbot.edit(
        chat.edit, [parts.chatbot, *asked], cancels=[*others, retry], **answers
    )
    writing = [*others, retry, edit]
    for event in writing:
        event.failure(chat.rest, None, [parts.message, parts.running], **QUIET)
    parts.message.stop(chat.stop, parts.running, None, **QUIET)
    parts.chatbot.like(
        chat.rate,
        [parts.chatbot, *asked],
        None,
        inputs_kwargs=parts.sampling.by_name(),
        **QUIET,
    )
    undone = parts.chatbot.undo(
        chat.undo, [parts.chatbot, parts.message, parts.model], shown, cancels=writing, **QUIET
    )
    cleared = parts.new_chat.click(chat.new_chat, parts.model, shown, cancels=writing, **QUIET)
    for event in (undone, cleared):
        event.then(chat.measure, [parts.chatbot, *asked], parts.status, **QUIET).then(
            None, js=FOCUS_MESSAGE, **QUIET
        )


def _wire_settings(page: Any, parts: ChatParts, chat: Chat) -> None:
    """Model, system prompt and sampling: what they change, and that they are remembered."""
    preferences = preferences_store()
    sampling = parts.sampling.by_name()
    controls = list(sampling.values())
    measured = [parts.chatbot, parts.model, parts.system]
    restored = page.load(
        chat.restore, preferences, [parts.model, parts.system, *controls, parts.chatbot], **QUIET
    )
    chosen = gr.on(
        [parts.model.input, parts.reset.click],
        chat.choose_model,
        [parts.model, parts.system],
        [*controls, parts.chatbot, preferences],
        **QUIET,
    )
    written = parts.system.blur(None, **QUIET)
    closed = [parts.message, parts.model, parts.system, *controls]
    listening = restored.then(partial(chat.listen, len(closed)), None, closed, **QUIET)
    listening.then(None, js=FOCUS_MESSAGE, **QUIET)
    for event in (restored, chosen, written):
        event.then(chat.measure, measured, parts.status, **QUIET)
    # what is pasted is no input (Gradio 6.31): the system prompt is remembered when left, too
    gr.on(
        [parts.system.blur, *(control.input for control in (parts.system, *controls))],
        chat.remember,
        [parts.model, parts.system],
        preferences,
        inputs_kwargs=sampling,
        trigger_mode="always_last",
        **QUIET,
    )


def _wire_code(parts: ChatParts, chat: Chat) -> None:
    """The panel that shows the conversation as code."""
    code = parts.code
    parts.view_code.click(
        chat.code,
        [parts.chatbot, parts.message, parts.model, parts.system],
        [code.panel, code.python, code.curl],
        inputs_kwargs=parts.sampling.by_name(),
        **QUIET,
    )
