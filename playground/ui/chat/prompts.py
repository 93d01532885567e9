"""Stored prompts in the Chat tab: the panel over the message box that fills one in, which ``/name``
opens, too, and saving the conversation's prompt. Knows no answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr
from gradio.events import Dependency

from playground.errors import InvalidRequest
from playground.lab.prompt_content import PromptContent, sampling_of, verbatim
from playground.lab.prompt_templates import undeclared
from playground.lab.prompts import Prompts, rendered
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import ACTION, UNQUEUED
from playground.ui.components.markup import render
from playground.ui.components.messages import (
    History,
    last_user_index,
    text_of,
    turn,
)
from playground.ui.components.sampling import (
    ControlValue,
    ControlValues,
    SamplingControls,
    control_values,
    to_sampling,
)
from playground.ui.components.status import note
from playground.ui.prompts.inputs import values_of, variable_inputs, variables_in

SLASH_NAME = "() => [window.playgroundSlash]"
FOCUS_MESSAGE = "() => document.querySelector('#message textarea')?.focus()"
FOCUS_FIRST = (
    "() => document.querySelector('#chat-values textarea, #chat-values input, #chat-insert')"
    "?.focus()"
)


@dataclass(frozen=True, slots=True)
class PanelParts:
    """The panel over the message box. ``slash`` is clicked when a name was chosen behind a
    slash (``assets/slash.js``), ``names`` lists what can be; ``content`` is the chosen version as
    JSON."""

    panel: gr.Column
    prompt: gr.Dropdown
    version: gr.Dropdown
    about: gr.HTML
    close: gr.Button
    insert: gr.Button
    elsewhere: gr.Button
    slash: gr.Button
    names: gr.HTML
    content: gr.JSON
    values: gr.Column


@dataclass(frozen=True, slots=True)
class SavingParts:
    """In the settings: load a prompt, or save one."""

    load: gr.Button
    name: gr.Textbox
    message: gr.Textbox
    save: gr.Button
    said: gr.HTML


@dataclass(frozen=True, slots=True)
class FilledParts:
    """What a prompt fills in."""

    model: gr.Dropdown
    system: gr.Textbox
    message: gr.Textbox
    chatbot: gr.Chatbot
    sampling: SamplingControls
    panel: gr.Column
    prompt: gr.Textbox


@dataclass(frozen=True, slots=True)
class NamesUpdate:
    """The prompts that a slash offers."""

    names: str


@dataclass(frozen=True, slots=True)
class PanelUpdate:
    """The panel, with a version chosen."""

    panel: gr.Column | Unchanged = UNCHANGED
    prompt: gr.Dropdown | Unchanged = UNCHANGED
    version: gr.Dropdown | Unchanged = UNCHANGED
    about: str | Unchanged = UNCHANGED
    content: Mapping[str, object] | Unchanged = UNCHANGED
    elsewhere: gr.Button | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class FilledUpdate:
    """The filled in prompt."""

    model: str | Unchanged
    system: str | Unchanged
    message: str | Unchanged
    chatbot: History | Unchanged
    sampling: ControlValues
    panel: gr.Column
    prompt: str


@dataclass(frozen=True, slots=True)
class SavedUpdate:
    """What was saved."""

    said: str


@dataclass(frozen=True, slots=True)
class ChatPromptHandlers:
    """The handlers."""

    prompts: Prompts
    answering: Answering

    def list_names(self) -> NamesUpdate:
        """List what a slash offers."""
        rows = [
            (prompt.name, prompt.versions[-1].message or ", ".join(prompt.tags))
            for prompt in self.prompts.all()
        ]
        return NamesUpdate(render("chat/prompt_names.html", prompts=rows))

    def open(self, name: str | None) -> PanelUpdate:
        """Open the panel with this prompt, or with the first."""
        names = [prompt.name for prompt in self.prompts.all()]
        if not names:
            raise InvalidRequest("prompt", "none is stored yet; write one in the Prompts tab")
        return self.choose(name if name in names else names[0])

    def choose(self, name: str, version: int | None = None) -> PanelUpdate:
        """Ask for the variables of a version; by default of the one in production."""
        found = self.prompts.version(name, version)
        prompt = self.prompts.find(found.prompt_id)
        numbers = [
            (" · ".join([f"v{each.number}", *each.labels]), each.number)
            for each in prompt.versions[::-1]
        ]
        content = found.content
        parts = ["schema"] * bool(content.schema) + ["tools"] * bool(content.tools)
        what = " and ".join(parts)
        left_out = (
            f"Inserting it leaves out its {what}; the Prompts tab uses them." if parts else ""
        )
        return PanelUpdate(
            panel=gr.Column(visible=True),
            prompt=gr.Dropdown([each.name for each in self.prompts.all()], value=prompt.name),
            version=gr.Dropdown(numbers, value=found.number),
            about=note(" ".join(filter(None, [found.message, left_out]))),
            content=content.to_json(),
            elsewhere=gr.Button(visible=bool(parts)),
        )

    def close(self) -> PanelUpdate:
        """Close the panel."""
        return PanelUpdate(panel=gr.Column(visible=False))

    async def insert(
        self,
        state: object,
        history: History,
        chosen_model: str,
        name: str,
        version: int,
        *values: object,
        **sampling: ControlValue,
    ) -> FilledUpdate:
        """Fill in the prompt: its last message into the box, those before it into the conversation,
        its settings beside it. What it does not set stays."""
        content = PromptContent.from_json(state)
        if len(values) != len(content.variables):
            raise InvalidRequest("variables", "have changed; look at them once more, then insert")
        messages = list(rendered(content, values_of(content, values)))
        system = messages.pop(0).content if messages and messages[0].role == "system" else UNCHANGED
        is_question = bool(messages) and messages[-1].role == "user"
        message = messages.pop().content if is_question else UNCHANGED
        before = [
            turn("user" if each.role == "user" else "assistant", each.content) for each in messages
        ]
        served = await self.answering.model_names()
        settings = sampling_of(content.sampling, to_sampling(sampling))
        return FilledUpdate(
            model=content.model if content.model in served else chosen_model or UNCHANGED,
            system=system,
            message=message,
            chatbot=[*history, *before] if before else UNCHANGED,
            sampling=control_values(settings),
            panel=gr.Column(visible=False),
            prompt=f"{name}@{version}",
        )

    def save(
        self,
        name: str,
        commit_message: str,
        history: History,
        draft: str,
        chosen_model: str,
        system: str,
        **sampling: ControlValue,
    ) -> SavedUpdate:
        """Save system prompt, message, model and settings as a prompt, or as its next version. The
        message is the one in the box, or the last that was sent."""
        last = last_user_index(history)
        sent = text_of(history[last]["content"]) if last is not None else ""
        chosen = to_sampling(sampling)
        seed = {} if chosen.seed is None else {"seed": chosen.seed}
        settings = {"temperature": chosen.temperature, **chosen.chosen(), **seed}
        messages = [
            {"role": role, "content": _template(text)}
            for role, text in (("system", system), ("user", draft if draft.strip() else sent))
            if text.strip()
        ]
        content = PromptContent.from_json(
            {
                "messages": messages,
                "model": chosen_model,
                "sampling": {
                    key: list(each) if isinstance(each, tuple) else each
                    for key, each in settings.items()
                },
            }
        )
        save = self.prompts.save if self.prompts.exists(name.strip()) else self.prompts.create
        made = save(name.strip(), content, commit_message)
        gr.Info(f"{made.name} v{made.number} is saved.")
        return SavedUpdate(note(f"Saved as {made.name} v{made.number}."))


def panel_parts() -> PanelParts:
    """Build the panel in the current layout, closed."""
    with gr.Column(visible=False, elem_id="chat-prompt", elem_classes="prompt-panel") as panel:
        with gr.Row(elem_classes="prompt-head"):
            prompt = gr.Dropdown(
                [],
                label="Prompt",
                interactive=True,
                allow_custom_value=True,  # a slash names one before the choices have come
                elem_id="chat-prompt-name",
            )
            version = gr.Dropdown(
                [], label="Version", interactive=True, elem_id="chat-prompt-version"
            )
        about = gr.HTML(container=False)
        with gr.Column(elem_id="chat-values") as values:
            pass
        with gr.Row(elem_classes="actions"):
            insert = gr.Button("Insert", variant="primary", size="sm", elem_id="chat-insert")
            elsewhere = gr.Button(
                "Open in the Prompts tab", size="sm", visible=False, elem_id="chat-prompt-elsewhere"
            )
            close = gr.Button("Cancel", size="sm", elem_id="chat-prompt-close")
    return PanelParts(
        panel=panel,
        prompt=prompt,
        version=version,
        about=about,
        close=close,
        insert=insert,
        elsewhere=elsewhere,
        slash=gr.Button("Open", visible="hidden", elem_id="slash"),
        names=gr.HTML("", elem_id="slash-names", visible="hidden", container=False),
        content=gr.JSON({}, visible="hidden"),
        values=values,
    )


def saving_parts() -> SavingParts:
    """Build what the settings have of prompts, in the current layout."""
    with gr.Accordion("Prompts", open=False, elem_id="chat-prompts"):
        load = gr.Button("Load a prompt", size="sm", elem_id="chat-load")
        name = gr.Textbox(
            label="Save as prompt",
            info="System prompt, message, model and settings; {{ name }} in them is a variable.",
            placeholder="Name",
            max_lines=1,
            elem_id="chat-save-name",
        )
        message = gr.Textbox(label="What changed", placeholder="As a commit message", max_lines=1)
        save = gr.Button("Save", size="sm", elem_id="chat-save")
        said = gr.HTML(elem_id="chat-saved", container=False)
    return SavingParts(load, name, message, save, said)


def wire_prompts(
    page: gr.Blocks,
    parts: tuple[PanelParts, SavingParts],
    filled: FilledParts,
    handlers: ChatPromptHandlers,
) -> list[Dependency]:
    """Wire the panel and saving. Returns the events that change the list of prompts."""
    panel, saving = parts
    sampling = filled.sampling.by_name()
    listed = page.load(**bind(handlers.list_names, panel), inputs=None, **UNQUEUED)
    for button, js in ((panel.slash, SLASH_NAME), (saving.load, None)):
        button.click(**bind(handlers.open, panel), inputs=panel.prompt, js=js, **ACTION).then(
            None, js=FOCUS_FIRST, **UNQUEUED
        )
    panel.prompt.input(**bind(handlers.choose, panel), inputs=panel.prompt, **ACTION)
    panel.version.input(
        **bind(handlers.choose, panel), inputs=[panel.prompt, panel.version], **ACTION
    )
    panel.close.click(**bind(handlers.close, panel), inputs=None, **UNQUEUED)
    saved = gr.on(
        [saving.save.click, saving.name.submit],
        **bind(handlers.save, saving),
        inputs=[
            saving.name, saving.message, filled.chatbot, filled.message, filled.model,
            filled.system,
        ],
        inputs_kwargs=sampling,
        **ACTION,
    )  # fmt: skip
    saved.then(**bind(handlers.list_names, panel), inputs=None, **UNQUEUED)
    with panel.values:

        @gr.render(inputs=panel.content, show_progress="hidden", concurrency_limit=None)  # type: ignore[untyped-decorator]
        def ask(content: dict[str, object]) -> None:
            values = variable_inputs(variables_in(content), "chat-value")
            panel.insert.click(
                **bind(handlers.insert, filled),
                inputs=[
                    panel.content,
                    filled.chatbot,
                    filled.model,
                    panel.prompt,
                    panel.version,
                    *values,
                ],
                inputs_kwargs=sampling,
                **ACTION,
            ).then(None, js=FOCUS_MESSAGE, **UNQUEUED)

    return [listed, saved]


def _template(text: str) -> str:
    """The text as a template, if it is one; otherwise one that renders to it."""
    try:
        undeclared(text, "message")
    except InvalidRequest:
        return verbatim(text)
    return text
