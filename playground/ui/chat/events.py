"""What happens in the Chat tab: each event is a method from values to named updates.

Sampling parameters arrive as keyword arguments of their own names.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab.tokens import Fork
from playground.protocol import AnswerBuilder
from playground.ui.chat.layout import example_cards, welcome
from playground.ui.chat.rating import position_of
from playground.ui.chat.states import ChatState, answer_states, chat_request, used_tokens
from playground.ui.chat.tokens import fork_of
from playground.ui.chat.updates import (
    ConversationUpdate,
    ExampleUpdate,
    IdleUpdate,
    InputsUpdate,
    MeterUpdate,
    ModelUpdate,
    NewChatUpdate,
    PreferencesUpdate,
    RestoredUpdate,
    RestoreUpdate,
)
from playground.ui.components.answering import Answering
from playground.ui.components.code_panel import CodeUpdate, code_update
from playground.ui.components.examples import examples_for
from playground.ui.components.messages import (
    History,
    Turn,
    last_user_index,
    note_of,
    text_of,
    turn,
    versions_of,
    with_versions,
)
from playground.ui.components.preferences import Preferences, stored_sampling, stored_text
from playground.ui.components.running import RunningAnswers
from playground.ui.components.sampling import (
    SAMPLING_NAMES,
    ControlValue,
    ControlValues,
    control_values,
)
from playground.ui.components.shown_text import byline_of
from playground.ui.components.snippets import api_address
from playground.ui.components.status import meter, note_line
from playground.ui.history.recording import PROMPT, Recorder


@dataclass(frozen=True, slots=True)
class Beside:
    """An answer beside which a new one is kept; with ``fork`` the new one is the ``text`` of the
    answer up to another token."""

    answer: Turn
    fork: Fork | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChatHandlers:
    """The handlers."""

    answering: Answering
    needs_key: bool
    recorder: Recorder = field(default_factory=Recorder)
    running: RunningAnswers = field(default_factory=RunningAnswers)

    async def send(
        self,
        draft: str,
        history: History,
        running: str,
        model: str,
        system: str,
        **sampling: ControlValue,
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Answer the message in the box."""
        if running or not draft.strip():
            return
        fallback = ChatState(history, draft=draft, note=note_of(history))
        question = [*history, turn("user", draft)]
        async with aclosing(
            self._answer(question, fallback, model, system, sampling, draft="")
        ) as updates:
            async for update in updates:
                yield update

    async def retry(
        self, history: History, model: str, system: str, **sampling: ControlValue
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Answer the last message again."""
        last = last_user_index(history)
        if last is None:
            return
        fallback = ChatState(history, note=note_of(history))
        question, before = history[: last + 1], history[last + 1 :]
        beside = Beside(before[-1]) if before else None
        async with aclosing(
            self._answer(question, fallback, model, system, sampling, beside=beside)
        ) as updates:
            async for update in updates:
                yield update

    async def fork(
        self,
        chosen: str,
        history: History,
        running: str,
        model: str,
        system: str,
        **sampling: ControlValue,
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Answer the last message again with another token at one place, kept beside the answer as
        it was. ``chosen`` comes from ``assets/tokens.js``."""
        last = last_user_index(history)
        if running or last is None:
            return
        place, answer = fork_of(chosen, history), text_of(history[-1]["content"])
        fallback = ChatState(history, note=note_of(history))
        kept = Beside(history[-1], place, answer)
        async with aclosing(
            self._answer(history[: last + 1], fallback, model, system, sampling, beside=kept)
        ) as updates:
            async for update in updates:
                yield update

    async def choose_answer(
        self, chosen: gr.SelectData, history: History, model: str
    ) -> ConversationUpdate:
        """Show another of the answers to the last message."""
        if not history:
            return ConversationUpdate()
        versions = versions_of(history[-1])
        shown = [*history[:-1], with_versions(versions, min(chosen.index, len(versions) - 1))]
        return await self._show(ChatState(shown, note=note_of(shown)), model)

    async def edit(
        self,
        edited: gr.EditData,
        history: History,
        model: str,
        system: str,
        **sampling: ControlValue,
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Replace a message and answer it; or replace an answer, with which the conversation goes
        on.
        """
        index = position_of(edited)
        before, text = history[:index], text_of(edited.value)
        if history[index]["role"] == "assistant":
            byline = f"{byline_of(edited.previous_value)} · edited".removeprefix(" · ")
            written = turn("assistant", text, note="edited", byline=byline)
            shown = [*before, written, *history[index + 1 :]]
            yield await self._show(ChatState(shown, note=note_of(shown)), model)
            return
        unedited = [*before, turn("user", text_of(edited.previous_value)), *history[index + 1 :]]
        fallback = ChatState(unedited, draft=text, note=note_of(unedited))
        question = [*before, turn("user", text)]
        async with aclosing(self._answer(question, fallback, model, system, sampling)) as updates:
            async for update in updates:
                yield update

    async def undo(self, history: History, draft: str, model: str) -> ConversationUpdate:
        """Remove the last message with its answer; the message returns to an empty box."""
        last = last_user_index(history)
        if last is None:
            return ConversationUpdate()
        kept = history[:last]
        text = draft if draft.strip() else text_of(history[last]["content"])
        return await self._show(ChatState(kept, draft=text, note=note_of(kept)), model)

    async def new_chat(
        self, running: str, model: str, system: str, stored: object
    ) -> NewChatUpdate:
        """Empty the conversation; the text in the box stays, the system prompt of an example goes.

        An answer that is being written ends, and what still comes of it is not shown.
        """
        if running:
            self.running.discard(running)
            self.answering.cancel(running)
            await self.running.ended(running)
        own = _own_system(model, system, stored)
        used = await used_tokens(self.answering, model, own, [])
        empty = await self._show(ChatState([], used_tokens=used), model)
        return NewChatUpdate(
            empty.chatbot, empty.message, empty.running, empty.note, empty.meter, own
        )

    def stop(self, running: str) -> None:
        """End the answer that is being written."""
        self.answering.cancel(running)

    async def reset_inputs(self, history: History, model: str, system: str) -> IdleUpdate:
        """After a failure: open the message box, and say again what the context holds."""
        shown = await self.update_token_count(history, model, system)
        return IdleUpdate(gr.Textbox(submit_btn=True, stop_btn=False), shown.meter)

    async def update_token_count(self, history: History, model: str, system: str) -> MeterUpdate:
        """Count the tokens of the conversation again."""
        used = await used_tokens(self.answering, model, system, history)
        length = (await self.answering.model(model)).context_length
        return MeterUpdate(meter(used, length))

    async def count_restored(self, history: History, model: str, system: str) -> RestoredUpdate:
        """Count the tokens of what the browser kept. Nothing kept is zero tokens, as the page has
        it: what is sent meanwhile has the line then."""
        shown = self.answering.initial_models[0].context_length
        info = await self.answering.model(model)
        if not history and not system.strip() and info.context_length == shown:
            return RestoredUpdate()
        counted = await self.update_token_count(history, model, system)
        return RestoredUpdate(note_line(note_of(history)), counted.meter)

    def choose_example(self, chosen: gr.SelectData, model: str) -> ExampleUpdate:
        """Fill in the system prompt and the message of an example card."""
        example = examples_for(model).chat[chosen.index]
        return ExampleUpdate(example.system, example.prompt)

    async def choose_model(self, model: str, system: str, stored: object) -> ModelUpdate:
        """Show the model's own sampling, greeting and examples, and store the choice."""
        info = await self.answering.model(model)
        values = control_values(info.defaults)
        own = _own_system(model, system, stored)
        chosen = Preferences(model=info.name, system_prompt=own, sampling=values)
        return ModelUpdate(values, await self._greeting(info.name), chosen)

    async def reset(self, model: str) -> ModelUpdate:
        """Return to the model's own sampling, without a system prompt."""
        update = await self.choose_model(model, "", {})
        return replace(update, system="")

    async def restore(self, stored: object) -> RestoreUpdate:
        """Apply what the browser stores to the models that are served now."""
        info = await self.answering.model(stored_text(stored, "model"))
        return RestoreUpdate(
            model=gr.Dropdown(await self.answering.model_names(), value=info.name),
            system=stored_text(stored, "system_prompt"),
            sampling=stored_sampling(stored, info),
            chatbot=await self._greeting(info.name),
        )

    def enable_inputs(self) -> InputsUpdate:
        """Open the inputs: they hold what was restored."""
        return InputsUpdate(
            message=gr.Textbox(interactive=True),
            model=gr.Dropdown(interactive=True),
            system=gr.Textbox(interactive=True),
            sampling=dict.fromkeys(SAMPLING_NAMES, gr.update(interactive=True)),
        )

    def remember(
        self, model: str, system: str, stored: object, **sampling: ControlValue
    ) -> PreferencesUpdate:
        """Store the settings in the browser; an example's system prompt is nobody's setting."""
        own = _own_system(model, system, stored)
        return PreferencesUpdate(Preferences(model=model, system_prompt=own, sampling=sampling))

    def code(
        self,
        page: gr.Request,
        history: History,
        draft: str,
        model: str,
        system: str,
        **sampling: ControlValue,
    ) -> CodeUpdate:
        """Open the panel with the conversation and its settings as code."""
        last = last_user_index(history)
        if draft.strip() or last is None:
            question = [*history, turn("user", draft.strip() or "Hello!")]
        else:  # the answer that is shown is asked for again
            question = history[: last + 1]
        request = chat_request(model, system, question, sampling)
        return code_update(request, api_address(page), needs_key=self.needs_key)

    async def reply(
        self, message: str, system_prompt: str = "", model: str = ""
    ) -> AsyncGenerator[str, None]:
        """Stream the answer to one message; each item is the whole text so far. For more than this,
        use the OpenAI-compatible API under /v1.
        """
        info = await self.answering.model(model)
        values = control_values(info.defaults)
        request = chat_request(model or info.name, system_prompt, [turn("user", message)], values)
        builder = AnswerBuilder()
        async with aclosing(self.answering.stream(request)) as events:
            async for event in events:
                builder.add(event)
                yield builder.text

    async def _greeting(self, model: str) -> gr.Chatbot:
        info = await self.answering.model(model)
        return gr.Chatbot(placeholder=welcome(info), examples=example_cards(info.name) or None)

    async def _answer(
        self,
        question: History,
        fallback: ChatState,
        model: str,
        system: str,
        sampling: ControlValues,
        draft: str | None = None,
        beside: "Beside | None" = None,
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """``draft`` is what the message box holds once the answer has begun; None leaves it.
        ``beside`` is an answer that is kept beside the new one.
        """
        values = dict(sampling)
        prompt = str(values.pop(PROMPT, "") or "")
        keeper = self.recorder.keeper(values, model, system)
        try:
            request = chat_request(model, system, question, values)
        except InvalidRequest:
            yield await self._show(fallback, model)
            raise
        began, said = False, question
        conversation = await keeper.save_or_warn(question)
        request = replace(request, conversation=conversation, prompt_version=prompt)
        events = None
        if beside and beside.fork:
            events = self.answering.fork(request, beside.text, beside.fork)
        states = answer_states(self.answering, request, question, fallback, events)
        with self.running.writing(request.id):
            try:
                async with aclosing(states) as shown:
                    async for state in shown:
                        said = state.history if state.history != fallback.history else said
                        if self.running.is_discarded(request.id):
                            continue
                        if not state.running and beside and state.history != fallback.history:
                            versions = [*versions_of(beside.answer), state.history[-1]]
                            newest = with_versions(versions, len(versions) - 1)
                            state = replace(state, history=[*state.history[:-1], newest])
                        if began and state.running:
                            yield ConversationUpdate(chatbot=state.history)
                        else:
                            state = state if began else replace(state, draft=draft)
                            update = await self._show(state, model)
                            yield update if began else replace(update, conversation=conversation)
                        began = True
                if self.running.is_discarded(request.id):  # the last word, if it is late
                    yield await self._show(ChatState([]), model)
            finally:
                await keeper.save_or_warn(said)

    async def _show(self, state: ChatState, model: str) -> ConversationUpdate:
        busy = bool(state.running)
        box: dict[str, object] = {"submit_btn": not busy, "stop_btn": busy}
        if state.draft is not None:
            box["value"] = state.draft
        length = (await self.answering.model(model)).context_length
        return ConversationUpdate(
            chatbot=state.history,
            message=gr.Textbox(**box),
            running=state.running,
            note=note_line(state.note),
            meter=meter(state.used_tokens, length),
        )


def _own_system(model: str, system: str, stored: object) -> str:
    """Return the system prompt; in place of one that an example brought, the one before it."""
    borrowed = {example.system for example in examples_for(model).chat}
    own = stored_text(stored, "system_prompt") if system in borrowed else system
    return "" if own in borrowed else own
