"""From a conversation to its next answer, as states that the Chat tab shows one after another.

Knows no component: a `ChatState` is what there is to show, the handlers put it on the screen.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from playground.errors import PlaygroundError
from playground.protocol import AnswerBuilder, Message, Request, StreamEvent
from playground.ui.components.answering import Answering
from playground.ui.components.messages import History, Turn, answer_turns, to_messages, turn
from playground.ui.components.sampling import ControlValues, to_sampling
from playground.ui.components.status import answer_note, made_by

REFRESH_S = 0.04


@dataclass(frozen=True, slots=True)
class ChatState:
    """The tab at one moment.

    ``running`` is the id of the request being answered, empty when none is. ``draft`` is the text
    of the message box; None leaves the box as it is. ``used_tokens`` is known once an answer ends.
    """

    history: History
    running: str = ""
    draft: str | None = None
    note: str = ""
    used_tokens: int | None = None


def chat_request(
    model: str, system_prompt: str, history: Sequence[Turn], sampling: ControlValues
) -> Request:
    """Return the request for the next answer. Raises `InvalidRequest` naming the field."""
    return Request(
        model=model,
        messages=to_messages(history, system_prompt),
        sampling=to_sampling(sampling),
    )


async def answer_states(
    answering: Answering,
    request: Request,
    history: History,
    fallback: ChatState,
    events: AsyncGenerator[StreamEvent, None] | None = None,
) -> AsyncGenerator[ChatState, None]:
    """Stream states of the answer to ``history`` as it is written, about 25 a second at most.

    ``events`` is a stream of the answer, where the request is not asked as it is. ``fallback`` is
    shown when no answer comes; an answer that breaks off is kept. Raises what the backend raises,
    after the state that keeps the conversation.
    """
    byline = request.model
    yield ChatState([*history, turn("assistant", "", byline=byline)], running=request.id)
    builder, shown_at = AnswerBuilder(), 0.0
    try:
        async with aclosing(events or answering.stream(request)) as stream:
            async for event in stream:
                answer = builder.add(event)
                if answer:
                    note = answer_note(answer)
                    source = answer.provenance
                    by = made_by(request.model, source)
                    said = answer_turns(answer.text, answer.reasoning, note, source, byline=by)
                    if said:
                        used = answer.usage.total_tokens
                        yield ChatState([*history, *said], note=note, used_tokens=used)
                    else:
                        yield replace(fallback, note=f"Empty answer · {note}")
                elif time.monotonic() - shown_at >= REFRESH_S:
                    said = answer_turns(
                        builder.text, builder.reasoning, byline=byline, running=True
                    )
                    if said:
                        shown_at = time.monotonic()
                        yield ChatState([*history, *said], request.id)
    except PlaygroundError:
        note = "interrupted"
        said = answer_turns(builder.text, builder.reasoning, note, byline=byline)
        if said:
            yield ChatState([*history, *said], note=note)
        else:
            yield fallback
        raise


async def used_tokens(
    answering: Answering, model: str, system_prompt: str, history: Sequence[Turn]
) -> int | None:
    """Return the tokens of the conversation; None where the model's template cannot say."""
    messages = to_messages(history, system_prompt)
    if not messages:
        return 0
    if messages[-1].role == "system":
        messages = (*messages, Message("user", ""))
    ends_in_answer = messages[-1].role == "assistant"
    return await answering.count_tokens(Request(model, messages, continue_final=ends_in_answer))
