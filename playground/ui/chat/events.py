"""What happens in the Chat tab: each event of the page as a function from values to values.

Knows which outputs an event has and in which order; which component they are is chat.py's matter.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from playground.errors import InvalidRequest
from playground.protocol import Backend
from playground.store import Feedback, NewAnswer
from playground.ui.chat.answering import View, answer, chat_request, model_named, used_tokens
from playground.ui.chat.layout import example_cards, welcome
from playground.ui.components.errors import shows_errors
from playground.ui.components.examples import Example, examples_for
from playground.ui.components.messages import (
    History,
    last_user_index,
    note_of,
    provenance_of,
    text_of,
    to_messages,
    turn,
)
from playground.ui.components.preferences import pack, stored_sampling, stored_text
from playground.ui.components.sampling import control_values
from playground.ui.components.snippets import curl_snippet, python_snippet
from playground.ui.components.status import status_line

Updates = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Chat:
    """The handlers. Sampling parameters arrive as keyword arguments of their own names.

    What answers returns four updates: conversation, message box, running request, status line.
    """

    backend: Backend
    feedback: Feedback
    examples: tuple[Example, ...]
    needs_key: bool

    @shows_errors
    async def send(
        self, draft: str, history: History, running: str, model: str, system: str, **sampling: Any
    ) -> AsyncGenerator[Updates, None]:
        """The message box was submitted."""
        if running or not draft.strip():
            return
        otherwise = View(history, draft=draft, note=note_of(history))
        asked = [*history, turn("user", draft)]
        async with aclosing(
            self._answer(asked, otherwise, model, system, sampling, draft="")
        ) as updates:
            async for update in updates:
                yield update

    @shows_errors
    async def retry(
        self, history: History, model: str, system: str, **sampling: Any
    ) -> AsyncGenerator[Updates, None]:
        """Another answer to the last message is wanted."""
        last = last_user_index(history)
        if last is None:
            return
        otherwise = View(history, note=note_of(history))
        asked = history[: last + 1]
        async with aclosing(self._answer(asked, otherwise, model, system, sampling)) as updates:
            async for update in updates:
                yield update

    @shows_errors
    async def edit(
        self, edited: gr.EditData, history: History, model: str, system: str, **sampling: Any
    ) -> AsyncGenerator[Updates, None]:
        """A message was changed: the conversation goes on from there."""
        index = edited.index if isinstance(edited.index, int) else edited.index[0]
        before, text = history[:index], text_of(edited.value)
        was = [*before, turn("user", text_of(edited.previous_value)), *history[index + 1 :]]
        otherwise = View(was, draft=text, note=note_of(was))
        asked = [*before, turn("user", text)]
        async with aclosing(self._answer(asked, otherwise, model, system, sampling)) as updates:
            async for update in updates:
                yield update

    def undo(self, history: History, draft: str, model: str) -> Updates:
        """The last message and its answer go; the message returns to an empty box."""
        last = last_user_index(history)
        if last is None:
            return (gr.skip(),) * 4
        kept = history[:last]
        text = draft if draft.strip() else text_of(history[last]["content"])
        return self._show(View(kept, draft=text, note=note_of(kept)), model)

    def new_chat(self, model: str) -> Updates:
        """An empty conversation; what stands in the box stays."""
        return self._show(View([]), model)

    def stop(self, running: str) -> None:
        """The answer that is being written ends where it is."""
        if running:
            self.backend.cancel(running)

    @shows_errors
    def rate(
        self, liked: gr.LikeData, history: History, model: str, system: str, **sampling: Any
    ) -> None:
        """A thumb up or down: kept with the conversation and with what made the answer."""
        at = liked.index if isinstance(liked.index, int) else liked.index[0]
        if history[at]["role"] != "assistant":
            return
        answer = NewAnswer(
            model,
            text_of(history[at]["content"]),
            provenance_of(history[at]),
            system,
            {name: value for name, value in sampling.items() if value not in (None, "")},
        )
        self.feedback.rate(to_messages(history[:at]), answer, up=liked.liked is True)

    def rest(self) -> Updates:
        """After a failure: the message box takes messages again, and nothing runs."""
        return gr.Textbox(submit_btn=True, stop_btn=False), ""

    def measure(self, history: History, model: str, system: str) -> Any:
        """The status line with the tokens counted afresh."""
        used = used_tokens(self.backend, model, system, history)
        length = model_named(self.backend, model).context_length
        return status_line(note_of(history), used, length)

    def choose_example(self, chosen: gr.SelectData, model: str) -> Updates:
        """The system prompt and the message of the example that was clicked."""
        example = examples_for(model, self.examples)[chosen.index]
        return example.system, example.prompt

    def choose_model(self, model: str, system: str) -> Updates:
        """The model's own sampling, greeting and examples; what to remember; what to say."""
        info = model_named(self.backend, model)
        values = control_values(info.defaults)
        return (*values.values(), self._greeting(info.name), pack(info.name, system, values))

    def restore(self, stored: Any) -> Updates:
        """What the browser remembers, applied to the models that are served now."""
        info = model_named(self.backend, stored_text(stored, "model"))
        names = [each.name for each in self.backend.models()]
        return (
            gr.Dropdown(names, value=info.name),
            stored_text(stored, "system_prompt"),
            *stored_sampling(stored, info).values(),
            self._greeting(info.name),
        )

    def listen(self, closed: int) -> Updates:
        """So many closed components take input: they hold what was restored."""
        return tuple(gr.update(interactive=True) for _ in range(closed))

    def remember(self, model: str, system: str, **sampling: Any) -> dict[str, Any]:
        """What the browser is to remember."""
        return pack(model, system, sampling)

    @shows_errors
    def code(
        self,
        page: gr.Request,
        history: History,
        draft: str,
        model: str,
        system: str,
        **sampling: Any,
    ) -> Updates:
        """The panel, open, with the conversation and its settings as code."""
        asked = history
        if draft.strip() or last_user_index(history) is None:
            asked = [*history, turn("user", draft.strip() or "Hello!")]
        request = chat_request(model, system, asked, sampling)
        base_url = f"{str(page.request.base_url).rstrip('/')}/v1"
        python = python_snippet(request, base_url, needs_key=self.needs_key)
        curl = curl_snippet(request, base_url, needs_key=self.needs_key)
        return gr.Column(visible=True), python, curl

    @shows_errors
    async def reply(
        self, message: str, system_prompt: str = "", model: str = ""
    ) -> AsyncGenerator[str, None]:
        """Answer one message, streamed: each piece is the whole text so far. For more than this,
        use the OpenAI-compatible API under /v1.
        """
        info = model_named(self.backend, model)
        values = control_values(info.defaults)
        request = chat_request(model or info.name, system_prompt, [turn("user", message)], values)
        text = ""
        async with aclosing(self.backend.stream(request)) as events:
            async for event in events:
                text += event.text
                yield text

    def _greeting(self, model: str) -> Any:
        info = model_named(self.backend, model)
        cards = example_cards(info.name, self.examples)
        return gr.Chatbot(placeholder=welcome(info), examples=cards or None)

    async def _answer(
        self,
        asked: History,
        otherwise: View,
        model: str,
        system: str,
        sampling: dict[str, Any],
        draft: str | None = None,
    ) -> AsyncGenerator[Updates, None]:
        """``draft`` is what the message box holds once the answer has begun; None leaves it."""
        try:
            request = chat_request(model, system, asked, sampling)
        except InvalidRequest:
            yield self._show(otherwise, model)
            raise
        began = False
        async with aclosing(answer(self.backend, request, asked, otherwise)) as views:
            async for view in views:
                quiet = began and bool(view.running)
                if not began:
                    view = replace(view, draft=draft)
                yield (view.history, *(gr.skip(),) * 3) if quiet else self._show(view, model)
                began = True

    def _show(self, view: View, model: str) -> Updates:
        busy = bool(view.running)
        box: dict[str, Any] = {"submit_btn": not busy, "stop_btn": busy}
        if view.draft is not None:
            box["value"] = view.draft
        length = model_named(self.backend, model).context_length
        status = status_line(view.note, view.used_tokens, length)
        return view.history, gr.Textbox(**box), view.running, status
