"""The Prompts tab: prompts with versions, written, compared and tried in one place."""

import gradio as gr

from playground.lab.prompts import Prompts
from playground.ui.chat.prompts import PanelParts
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.events import ACTION, STREAM, UNQUEUED
from playground.ui.components.keeping import keep
from playground.ui.prompts.events import PromptHandlers
from playground.ui.prompts.inputs import variable_inputs, variables_in
from playground.ui.prompts.layout import PromptParts, prompt_parts

LINK_AND_KEPT = """(_, opened) => {
  const [visit] = performance.getEntriesByType("navigation");
  return [window.location.search, visit?.type === "reload" ? opened : ""];
}"""


def prompts_tab(
    page: gr.Blocks,
    answering: Answering,
    prompts: Prompts,
    tabs: gr.Tabs,
    panel: PanelParts,
    *,
    needs_key: bool,
    code: CodeParts,
) -> gr.Dropdown:
    """Build the tab in the current layout and wire its events; ``panel`` is Chat's, which hands
    over prompts that it has only in part. Returns the tab's choice of model."""
    parts, values = prompt_parts(answering.initial_models, tabs, code)
    handlers = PromptHandlers(prompts, answering, needs_key)
    _wire_library(page, parts, handlers)
    _wire_editor(parts, handlers)
    panel.elsewhere.click(
        **bind(handlers.open_elsewhere, parts), inputs=[panel.prompt, panel.version], **ACTION
    )
    with values:
        _wire_values(parts, handlers)
    return parts.tried_on


def _wire_library(page: gr.Blocks, parts: PromptParts, handlers: PromptHandlers) -> None:
    kept = {"opened": parts.opened, "name": parts.name, "tags": parts.tags}
    kept |= {"message": parts.message, **parts.form}
    restored = keep("prompts", kept, page)
    restored.then(**bind(handlers.restore, parts), inputs=parts.opened, **UNQUEUED).then(
        **bind(handlers.check, parts), inputs=parts.tried, inputs_kwargs=parts.form, **UNQUEUED
    ).then(
        **bind(handlers.open_link, parts),
        inputs=[parts.link, parts.opened],
        js=LINK_AND_KEPT,
        **UNQUEUED,
    )
    parts.tabs.select(**bind(handlers.refresh, parts), inputs=parts.prompt, **UNQUEUED)
    parts.prompt.input(**bind(handlers.choose, parts), inputs=parts.prompt, **ACTION)
    parts.version.input(
        **bind(handlers.choose_version, parts), inputs=[parts.prompt, parts.version], **ACTION
    )
    parts.new.click(**bind(handlers.new, parts), inputs=None, **UNQUEUED)
    parts.rename.click(
        **bind(handlers.rename, parts),
        inputs=[parts.prompt, parts.version, parts.name],
        **ACTION,
    )
    labelled = [parts.prompt, parts.version, parts.label]
    parts.set_label.click(**bind(handlers.set_label, parts), inputs=labelled, **ACTION)
    parts.remove_label.click(**bind(handlers.remove_label, parts), inputs=labelled, **ACTION)
    parts.delete.click(**bind(handlers.delete, parts), inputs=parts.prompt, **ACTION)
    parts.import_file.upload(
        **bind(handlers.import_file, parts), inputs=parts.import_file, **ACTION
    )
    # The file has to be there before the click that downloads it.
    gr.on(
        [parts.prompt.change, page.load, parts.version.change],
        **bind(handlers.offer_file, parts),
        inputs=parts.prompt,
        **UNQUEUED,
    )


def _wire_editor(parts: PromptParts, handlers: PromptHandlers) -> None:
    form = parts.form
    gr.on(
        [form["system"].blur, form["user"].blur, *(form[name].blur for name in (
            "variables", "others", "sampling", "schema", "tools"
        ))],
        **bind(handlers.check, parts),
        inputs=parts.tried,
        inputs_kwargs=form,
        trigger_mode="always_last",
        **UNQUEUED,
    )  # fmt: skip
    gr.on(
        [parts.save.click, parts.message.submit],
        **bind(handlers.save, parts),
        inputs=[parts.prompt, parts.name, parts.tags, parts.message],
        inputs_kwargs=form,
        **ACTION,
    )
    parts.compared.input(
        **bind(handlers.compare, parts),
        inputs=[parts.prompt, parts.version, parts.compared],
        **UNQUEUED,
    )
    parts.stop.click(**bind(handlers.stop), inputs=parts.running, **UNQUEUED)


def _wire_values(parts: PromptParts, handlers: PromptHandlers) -> None:
    """Ask for the variables; what uses them is wired with them, as they come and go."""

    @gr.render(inputs=parts.tried, show_progress="hidden", concurrency_limit=None)  # type: ignore[untyped-decorator]
    def ask(tried: dict[str, object]) -> None:
        _wire_run(parts, handlers, variable_inputs(variables_in(tried), "pr-value"))


def _wire_run(parts: PromptParts, handlers: PromptHandlers, values: list[gr.Component]) -> None:
    inputs = [parts.tried_on, *values]
    run = parts.run.click(
        **bind(handlers.run, parts), inputs=inputs, inputs_kwargs=parts.form, **STREAM
    )
    run.failure(**bind(handlers.reset_inputs, parts), inputs=None, **UNQUEUED)
    parts.view_code.click(
        **bind(handlers.code, parts.code), inputs=inputs, inputs_kwargs=parts.form, **ACTION
    )
