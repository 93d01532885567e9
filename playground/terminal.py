"""The terminal chat: a conversation in lines of text, streamed.

A thin face as the page and the API are: it knows a `Backend` and text streams, no model.
"""

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from playground.errors import EngineStopped, PlaygroundError
from playground.protocol import (
    Answer,
    AnswerBuilder,
    Backend,
    Delta,
    Message,
    ModelInfo,
    Request,
    Sampling,
)

HELP = "/new begins again, /quit leaves, Ctrl-C stops an answer"


@dataclass
class Conversation:
    """Messages so far, and the settings of the next answer. An answer that fails leaves no trace
    but its error.
    """

    backend: Backend
    model: ModelInfo
    sampling: Sampling
    system: str = ""
    messages: list[Message] = field(default_factory=list)

    def begin_again(self) -> None:
        """Forget everything but the system prompt."""
        self.messages.clear()

    def ask(self, text: str, out: TextIO) -> Answer:
        """Stream the answer to ``text`` to ``out``.

        Ctrl-C ends the answer where it is. Raises what the backend raises.
        """
        messages = [*self.messages, Message("user", text)]
        answer = asyncio.run(self._stream(messages, out))
        self.messages = messages[:-1]
        if answer.text:
            reply = Message("assistant", answer.text, reasoning=answer.reasoning)
            self.messages = [*messages, reply]
        return answer

    async def _stream(self, messages: Sequence[Message], out: TextIO) -> Answer:
        system = [Message("system", self.system)] if self.system.strip() else []
        request = Request(self.model.name, (*system, *messages), sampling=self.sampling)
        builder = AnswerBuilder()
        with self._interruptible(request):
            async with aclosing(self.backend.stream(request)) as events:
                async for event in events:
                    answer = builder.add(event)
                    if answer:
                        return answer
                    if isinstance(event, Delta):
                        out.write(event.text)
                        out.flush()
        raise EngineStopped("the answer ended without its last event")

    @contextmanager
    def _interruptible(self, request: Request) -> Iterator[None]:
        """Ctrl-C cancels this answer, not the program."""
        before = signal.signal(signal.SIGINT, lambda *_: self.backend.cancel(request.id))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def converse(conversation: Conversation, out: TextIO) -> None:
    """Answer questions from the keyboard until /quit or the end of input."""
    info = conversation.model
    out.write(f"{info.name}: {info.description}\n{HELP}\n")
    while True:
        try:
            text = input("\n> ").strip()
        except (EOFError, KeyboardInterrupt):
            out.write("\n")
            return
        if text == "/quit":
            return
        if text == "/new":
            conversation.begin_again()
            out.write("A new conversation.\n")
        elif text.startswith("/"):
            out.write(f"{text} is no command; {HELP}\n")
        elif text:
            _answer(conversation, text, out)


def _answer(conversation: Conversation, text: str, out: TextIO) -> None:
    try:
        answer = conversation.ask(text, out)
    except EngineStopped:
        raise
    except PlaygroundError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return
    out.write(f"\n{_cost(answer)}\n")


def _cost(answer: Answer) -> str:
    """Tokens, and how fast they came."""
    tokens = answer.usage.completion_tokens
    speed = answer.timings.tokens_per_second(tokens)
    parts = [f"{tokens} tokens", f"first after {1000 * answer.timings.first_token_s:.0f} ms"]
    if speed:
        parts.append(f"{speed:.0f} tokens/s")
    if answer.finish_reason != "stop":
        parts.append(answer.finish_reason)
    return f"[{', '.join(parts)}]"
