"""The Functions tab: define functions, ask, see each call with its result, continue."""

import gradio as gr
from gradio.events import Dependency

from playground.tools import Toolbox
from playground.ui.components.ability import AbilityParts, watch_ability
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.events import STREAM, UNQUEUED
from playground.ui.components.examples import examples_for
from playground.ui.components.keeping import keep
from playground.ui.functions.events import FunctionHandlers
from playground.ui.functions.layout import FunctionParts, function_parts
from playground.ui.history.recording import Recorder


def functions_tab(
    page: gr.Blocks,
    answering: Answering,
    toolbox: Toolbox,
    *,
    needs_key: bool,
    recorder: Recorder | None = None,
    code: CodeParts,
) -> FunctionParts:
    """Build the tab in the current layout and wire its events."""
    recorder = recorder or Recorder()
    examples = examples_for(answering.initial_models[0].name).functions
    parts = function_parts(answering.initial_models, toolbox, examples, code)
    handlers = FunctionHandlers(answering, toolbox, examples, needs_key, recorder)
    _wire_definitions(page, parts, handlers)
    ability = AbilityParts(parts.ability, (parts.message,))
    watch_ability(page, answering, parts.model, ability, "tools")
    conversation_ends = _wire_conversation(parts, handlers)
    for event in conversation_ends:
        event.then(**bind(handlers.store, parts), inputs=parts.timeline, **UNQUEUED)
        event.then(
            **bind(recorder.record_functions, parts),
            inputs=[
                parts.timeline,
                *(parts.form[name] for name in ("conversation", "model", "system", "tools")),
            ],
            **UNQUEUED,
        )
    kept = (
        "model", "tools", "parallel", "system", "temperature", "max_tokens", "conversation",
    )  # fmt: skip
    others = {
        "draft": parts.message,
        "paste": parts.paste,
        "timeline": parts.stored,
    }
    restored = keep("functions", {name: parts.form[name] for name in kept} | others, page)
    restored.then(
        **bind(handlers.restore_conversation, parts), inputs=parts.stored, **UNQUEUED
    ).then(**bind(handlers.show_panel, parts), inputs=parts.timeline, **UNQUEUED)
    return parts


def _wire_definitions(page: gr.Blocks, parts: FunctionParts, handlers: FunctionHandlers) -> None:
    parts.gallery.input(
        **bind(handlers.add_from_gallery, parts), inputs=[parts.gallery, parts.tools], **UNQUEUED
    )
    parts.add.click(
        **bind(handlers.add_pasted, parts), inputs=[parts.paste, parts.tools], **UNQUEUED
    )
    gr.on(
        [parts.tools.change, parts.form["model"].change, page.load],
        **bind(handlers.check, parts),
        inputs=[parts.tools, parts.choice, parts.model],
        trigger_mode="always_last",
        **UNQUEUED,
    )


def _wire_conversation(parts: FunctionParts, handlers: FunctionHandlers) -> list[Dependency]:
    """Returns the events after which the conversation is another."""
    options = {
        **STREAM,
        "inputs_kwargs": parts.form,
        "show_progress": "full",
        "show_progress_on": parts.chatbot,
    }
    draft = [parts.message, parts.timeline, parts.running]
    sent = parts.message.submit(**bind(handlers.send, parts), inputs=draft, **options)
    picked = parts.chatbot.example_select(
        **bind(handlers.choose_example, parts), inputs=None, **UNQUEUED
    )
    example = picked.then(**bind(handlers.send, parts), inputs=draft, **options)
    chosen = [parts.call, parts.timeline]
    approve = parts.run.click(**bind(handlers.approve, parts), inputs=chosen, **options)
    deny = parts.deny.click(**bind(handlers.deny, parts), inputs=chosen, **options)
    use = parts.use.click(
        **bind(handlers.use_result, parts),
        inputs=[parts.call, parts.result, parts.timeline],
        **options,
    )
    writing = [sent, example, approve, deny, use]
    for event in writing:
        event.failure(**bind(handlers.reset_inputs, parts), inputs=None, **UNQUEUED)
        event.then(**bind(handlers.show_panel, parts), inputs=parts.timeline, **UNQUEUED)
    parts.message.stop(**bind(handlers.stop), inputs=parts.running, **UNQUEUED)
    parts.call.input(**bind(handlers.choose_call, parts), inputs=chosen, **UNQUEUED)
    cleared = parts.clear.click(**bind(handlers.new_chat, parts), inputs=parts.running, **UNQUEUED)
    parts.view_code.click(
        **bind(handlers.code, parts.code),
        inputs=[parts.timeline, parts.message],
        inputs_kwargs=parts.form,
        **UNQUEUED,
    )
    return [*writing, cleared]
