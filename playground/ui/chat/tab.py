"""The Chat tab: a conversation with one model, its settings beside it."""

import gradio as gr
from gradio.events import Dependency

from playground.lab.prompts import Prompts
from playground.store import Feedback
from playground.ui.chat.events import ChatHandlers
from playground.ui.chat.layout import ChatParts, chat_parts
from playground.ui.chat.presets import SettingsParts, wire_presets
from playground.ui.chat.prompts import ChatPromptHandlers, FilledParts, wire_prompts
from playground.ui.chat.rating import Rating
from playground.ui.chat.tokens import ConversationParts, TokenHandlers, wire_tokens
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind, shows_errors
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.events import ACTION, STREAM, UNQUEUED
from playground.ui.components.keeping import keep
from playground.ui.history.recording import CONVERSATION, PROMPT, TEMPORARY, Recorder

SHOW_SYSTEM = "text => window.playgroundChip(text)"
CHOSEN_TOKEN = "(_, ...values) => [JSON.stringify(window.playgroundFork), ...values]"
FOCUS_MESSAGE = "() => document.querySelector('#message textarea')?.focus()"


def chat_tab(
    page: gr.Blocks,
    answering: Answering,
    feedback: Feedback,
    prompts: Prompts,
    *,
    needs_key: bool,
    recorder: Recorder | None = None,
    code: CodeParts,
) -> tuple[ChatParts, Dependency]:
    """Build the tab in the current layout and wire its events. Returns also the event after which
    it shows what the browser kept."""
    parts = chat_parts(answering.initial_models, code)
    chat = ChatHandlers(answering, needs_key, recorder or Recorder())
    _wire_conversation(parts, chat)
    wire_prompts(
        page,
        (parts.prompt_panel, parts.saving),
        FilledParts(
            parts.model, parts.system, parts.message, parts.chatbot, parts.sampling,
            parts.prompt_panel.panel, parts.prompt,
        ),
        ChatPromptHandlers(prompts, answering),
    )  # fmt: skip
    wire_tokens(
        parts.tokens,
        ConversationParts(parts.chatbot, parts.message, parts.model, parts.system, parts.sampling),
        TokenHandlers(answering),
    )
    parts.chatbot.like(
        **bind(Rating(feedback).rate),
        inputs=[parts.chatbot, parts.model, parts.system, parts.temporary],
        inputs_kwargs=parts.sampling.by_name(),
        **ACTION,
    )
    restored = _wire_settings(page, parts, chat)
    wire_presets(
        page,
        parts.presets,
        SettingsParts(parts.model, parts.system, parts.sampling, parts.preferences),
    )
    parts.view_code.click(
        **bind(chat.code, parts.code),
        inputs=[parts.chatbot, parts.message, parts.model, parts.system],
        inputs_kwargs=parts.sampling.by_name(),
        **UNQUEUED,
    )
    gr.api(shows_errors(chat.reply), api_name="chat", concurrency_limit=None)
    return parts, restored


def _wire_conversation(parts: ChatParts, chat: ChatHandlers) -> None:
    """Send, stop, retry, edit, undo, examples and the new chat."""
    settings = [parts.model, parts.system]
    kept = {
        CONVERSATION: parts.conversation,
        TEMPORARY: parts.temporary,
        PROMPT: parts.prompt,
    }
    options = {
        **STREAM,
        "inputs_kwargs": parts.sampling.by_name() | kept,
        "show_progress": "full",
        "show_progress_on": parts.chatbot,
    }
    draft = [parts.message, parts.chatbot, parts.running, *settings]
    sent = parts.message.submit(**bind(chat.send, parts), inputs=draft, **options)
    picked = parts.chatbot.example_select(
        **bind(chat.choose_example, parts), inputs=parts.model, **UNQUEUED
    )
    example = picked.then(**bind(chat.send, parts), inputs=draft, **options)
    # A retry or an edit ends the answer that is still being written.
    conversation = [parts.chatbot, *settings]
    retry = parts.chatbot.retry(
        **bind(chat.retry, parts), inputs=conversation, cancels=[sent, example], **options
    )
    edit = parts.chatbot.edit(
        **bind(chat.edit, parts), inputs=conversation, cancels=[sent, example, retry], **options
    )
    fork = parts.tokens.fork.click(
        **bind(chat.fork, parts),
        inputs=[parts.tokens.chosen, parts.chatbot, parts.running, *settings],
        js=CHOSEN_TOKEN,
        **options,
    )
    writing = [sent, example, retry, edit, fork]
    chosen = parts.chatbot.option_select(
        **bind(chat.choose_answer, parts), inputs=[parts.chatbot, parts.model], **UNQUEUED
    )
    for event in writing:
        event.failure(**bind(chat.reset_inputs, parts), inputs=conversation, **UNQUEUED)
    parts.message.stop(**bind(chat.stop), inputs=parts.running, **UNQUEUED)
    undone = parts.chatbot.undo(
        **bind(chat.undo, parts),
        inputs=[parts.chatbot, parts.message, parts.model],
        cancels=writing,
        **UNQUEUED,
    )
    # Not by ``cancels``: what the cancelled stream still sends would fill the chat again (Gradio
    # 6.31).
    cleared = gr.on(
        [parts.new_chat.click, parts.chatbot.clear],
        **bind(chat.new_chat, parts),
        inputs=[parts.running, *settings, parts.preferences],
        **UNQUEUED,
    )
    for event in (chosen, edit, undone):
        event.then(
            **bind(chat.recorder.record_chat, parts),
            inputs=[parts.chatbot, parts.conversation, parts.temporary, *settings],
            **UNQUEUED,
        )
    for event in (undone, cleared):
        event.then(**bind(chat.update_token_count, parts), inputs=conversation, **UNQUEUED).then(
            None, js=FOCUS_MESSAGE, **UNQUEUED
        )


def _wire_settings(page: gr.Blocks, parts: ChatParts, chat: ChatHandlers) -> Dependency:
    """Model, system prompt and sampling: what they change, and that they are remembered."""
    sampling = parts.sampling.by_name()
    settings = [parts.model, parts.system]
    preferred = page.load(**bind(chat.restore, parts), inputs=parts.preferences, **UNQUEUED)
    kept = {
        "history": parts.chatbot,
        "draft": parts.message,
        "system": parts.system,
        CONVERSATION: parts.conversation,
        TEMPORARY: parts.temporary,
        PROMPT: parts.prompt,
    }
    restored = keep("chat", kept, page, after=preferred, unless=TEMPORARY)
    chosen = parts.model.input(
        **bind(chat.choose_model, parts), inputs=[*settings, parts.preferences], **UNQUEUED
    )
    reset = parts.reset.click(**bind(chat.reset, parts), inputs=parts.model, **UNQUEUED)
    left = parts.system.blur(None, **UNQUEUED)
    parts.system.change(None, parts.system, parts.chip, js=SHOW_SYSTEM, **UNQUEUED)
    restored.then(**bind(chat.enable_inputs, parts), inputs=None, **UNQUEUED).then(
        None, js=FOCUS_MESSAGE, **UNQUEUED
    )
    restored.then(**bind(chat.count_restored, parts), inputs=[parts.chatbot, *settings], **UNQUEUED)
    for event in (chosen, reset, left):
        event.then(
            **bind(chat.update_token_count, parts), inputs=[parts.chatbot, *settings], **UNQUEUED
        )
    # A paste is no input event (Gradio 6.31), so leaving the system prompt stores it, too.
    gr.on(
        [parts.system.blur, *(control.input for control in (parts.system, *sampling.values()))],
        **bind(chat.remember, parts),
        inputs=[*settings, parts.preferences],
        inputs_kwargs=sampling,
        trigger_mode="always_last",
        **UNQUEUED,
    )
    return restored
