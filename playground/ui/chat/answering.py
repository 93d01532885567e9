"""From a conversation to its next answer, as views that the Chat tab shows one after another.

Knows no component: a `View` is what there is to show, the tab puts it on the screen.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from playground.errors import InvalidRequest, PlaygroundError
from playground.protocol import Backend, Message, ModelInfo, Request, named
from playground.ui.components.messages import History, Turn, to_messages, turn
from playground.ui.components.sampling import to_sampling
from playground.ui.components.status import answer_note

REFRESH_S = 0.04


@dataclass(frozen=True, slots=True)
class View:
    """What the tab shows at one moment.

    ``running`` is the id of the request being answered, empty when none is. ``draft`` is the text
    of the message box; None leaves the box as it is. ``used_tokens`` is known once an answer ends.
    """

    history: History
    running: str = ""
    draft: str | None = None
    note: str = ""
    used_tokens: int | None = None


def chat_request(
    model: str, system_prompt: str, history: Sequence[Turn], sampling: dict[str, Any]
) -> Request:
    """What the page asks of the backend. Raises `InvalidRequest` naming the field."""
    return Request(
        model=model,
        messages=to_messages(history, system_prompt),
        sampling=to_sampling(sampling),
    )


async def answer(
    backend: Backend, request: Request, history: History, otherwise: View
) -> AsyncGenerator[View, None]:
    """Views of the answer to ``history`` as it is written, about 25 a second at most.

    ``otherwise`` is what to go back to when nothing comes; an answer that breaks off is kept.
    Raises what the backend raises, after the view that keeps the conversation.
    """
    yield View(history, running=request.id)
    text, shown_at = "", 0.0
    try:
        async with aclosing(backend.stream(request)) as events:
            async for event in events:
                text += event.text
                if event.finish_reason and event.usage and event.timings:
                    note = answer_note(event.usage, event.timings, event.finish_reason)
                    if text:
                        full = [*history, turn("assistant", text, note, event.provenance)]
                        yield View(full, note=note, used_tokens=event.usage.total_tokens)
                    else:
                        yield replace(otherwise, note=f"Empty answer · {note}")
                elif event.text and time.monotonic() - shown_at >= REFRESH_S:
                    shown_at = time.monotonic()
                    yield View([*history, turn("assistant", text)], running=request.id)
    except PlaygroundError:
        if text:
            note = "broke off"
            yield View([*history, turn("assistant", text, note)], note=note)
        else:
            yield otherwise
        raise


def used_tokens(
    backend: Backend, model: str, system_prompt: str, history: Sequence[Turn]
) -> int | None:
    """Tokens of the conversation so far; None where the model's template cannot say."""
    messages = to_messages(history, system_prompt)
    if not messages:
        return 0
    if messages[-1].role == "system":
        messages = (*messages, Message("user", ""))
    ends_in_answer = messages[-1].role == "assistant"
    try:
        return backend.count_tokens(Request(model, messages, continue_final=ends_in_answer))
    except InvalidRequest:
        return None


def model_named(backend: Backend, name: str | None) -> ModelInfo:
    """The model of this name, or the default one if it is not served."""
    models = backend.models()
    return named(models, name or "") or models[0]
