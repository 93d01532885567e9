"""The Functions tab: define functions, ask, see each call with its result, go on."""

from typing import Any

import gradio as gr

from playground.protocol import Backend
from playground.settings import Settings
from playground.tools import Toolbox
from playground.ui.chat.tab import ANSWERS, QUIET
from playground.ui.components.examples import function_examples
from playground.ui.functions.events import Functions
from playground.ui.functions.layout import FunctionParts, function_parts


def functions_tab(page: Any, backend: Backend, settings: Settings, toolbox: Toolbox) -> Any:
    """Build the tab where it is called and wire its events. Returns its choice of model."""
    examples = function_examples()
    parts = function_parts(backend.models(), toolbox, examples)
    tab = Functions(backend, toolbox, examples, needs_key=settings.access.api_key is not None)
    _wire_definitions(page, parts, tab)
    _wire_conversation(parts, tab)
    return parts.form["model"]


def _wire_definitions(page: Any, parts: FunctionParts, tab: Functions) -> None:
    editor, choice = parts.form["tools"], parts.form["choice"]
    parts.gallery.input(
        tab.add_from_gallery, [parts.gallery, editor], [editor, parts.gallery], **QUIET
    )
    parts.add.click(tab.add_pasted, [parts.paste, editor], [editor, parts.paste], **QUIET)
    gr.on(
        [editor.change, page.load],
        tab.check,
        [editor, choice],
        [parts.verdict, choice],
        trigger_mode="always_last",
        **QUIET,
    )


def _wire_conversation(parts: FunctionParts, tab: Functions) -> None:
    shown = [
        parts.timeline, parts.chatbot, parts.message, parts.running, parts.note, parts.panel,
        parts.call, parts.result, parts.run, parts.deny,
    ]  # fmt: skip
    answers: dict[str, Any] = {
        "outputs": shown,
        "inputs_kwargs": parts.form,
        "show_progress_on": parts.chatbot,
        **ANSWERS,
    }
    asked = [parts.message, parts.timeline, parts.running]
    send = parts.message.submit(tab.send, asked, **answers)
    picked = parts.chatbot.example_select(
        tab.choose_example,
        None,
        [parts.form["tools"], parts.message, parts.form["choice"]],
        **QUIET,
    )
    example = picked.then(tab.send, asked, **answers)
    decided = [parts.call, parts.timeline]
    approve = parts.run.click(tab.approve, decided, **answers)
    deny = parts.deny.click(tab.deny, decided, **answers)
    use = parts.use.click(tab.use, [parts.call, parts.result, parts.timeline], **answers)
    writing = [send, example, approve, deny, use]
    for event in writing:
        event.failure(tab.rest, None, [parts.message, parts.running], **QUIET)
        event.then(tab.settle, parts.timeline, parts.panel, **QUIET)
    parts.message.stop(tab.stop, parts.running, None, **QUIET)
    parts.call.input(tab.choose_call, decided, [parts.result, parts.run, parts.deny], **QUIET)
    parts.clear.click(tab.clear, None, shown, cancels=writing, **QUIET)
    parts.view_code.click(
        tab.code,
        [parts.timeline, parts.message],
        [parts.code.panel, parts.code.python, parts.code.curl],
        inputs_kwargs=parts.form,
        **QUIET,
    )
