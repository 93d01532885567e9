"""The whole page over a backend whose answers a test chooses: it says what it is told."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.lab.prompts import Prompts
from playground.protocol import ModelInfo, Request, StreamEvent
from playground.services import Services
from playground.settings import load_settings
from playground.store import Feedback
from playground.store.conversations import Conversations
from playground.studio.studio import Studio
from playground.ui import build_page, mount_page
from tests.playground.api.serving import running

PIECE, PIECES = 64, 20
SLOWLY, PAUSE_S = "SLOWLY SAY:", 0.1
"""In a message: its answer comes in about twenty pieces, so many seconds apart, and is held after
half of them."""
LATE = "LATE SAY:"
"""In a message: its answer is held before it begins."""
HELD_FROM = {SLOWLY: PIECES // 2, LATE: 0}
LOOKED_S = 0.01
MODELS = (ModelInfo("echo", context_length=400_000), ModelInfo("other", context_length=400_000))


def echo(request: Request) -> Iterable[str]:
    """The last message, in pieces; of a message with a mark, what follows the mark."""
    text = request.messages[-1].content.partition("SAY:")[2] or request.messages[-1].content
    size = max(PIECE, len(text) // PIECES)
    return [text[start : start + size] for start in range(0, len(text), size)]


def pause_s(request: Request) -> float:
    """Seconds before each piece."""
    return PAUSE_S if SLOWLY in request.messages[-1].content else 0.0


class HoldingBackend(ScriptedBackend):
    """Echoes; holds the answers to messages with a mark until they are let go, or cancelled."""

    def __init__(self) -> None:
        super().__init__(echo, models=MODELS, pause_s=pause_s)
        self.holds = True

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        said = request.messages[-1].content
        held_from = next((HELD_FROM[mark] for mark in HELD_FROM if mark in said), None)
        passed = 0
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                while passed == held_from and self.holds and request.id in self._running:
                    await asyncio.sleep(LOOKED_S)
                passed += 1
                yield event


class SlowLine:
    """ASGI middleware: of a stream of results that begins while it is held, no browser hears that
    it is closed until it is let go.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.is_held = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        began_held = self.is_held

        async def late(message: Message) -> None:
            while began_held and self.is_held and b"close_stream" in message.get("body", b""):
                await asyncio.sleep(LOOKED_S)
            await send(message)

        await self._app(scope, receive, late)


@dataclass(frozen=True, slots=True)
class EchoPage:
    """Where it is, what answers, and what is between it and the browser."""

    url: str
    backend: HoldingBackend
    line: SlowLine


@contextmanager
def echo_page(backend: LocalBackend, home: Path) -> Iterator[EchoPage]:
    """Serve it."""
    scripted = HoldingBackend()
    settings = load_settings({"home": str(home)})

    async def build(services: Services) -> FastAPI:
        return mount_page(create_api(services), build_page(services, MODELS))

    with ExitStack() as stack:
        studio = Studio(home, backend.loaded, backend)
        feedback = stack.enter_context(closing(Feedback(home)))
        prompts = stack.enter_context(closing(Prompts(home)))
        conversations = stack.enter_context(closing(Conversations(home)))
        services = Services.create(
            scripted,
            settings,
            studio=studio,
            feedback=feedback,
            prompts=prompts,
            conversations=conversations,
        )
        with ThreadPoolExecutor(1) as other_thread:  # Playwright has a loop in this one
            app = other_thread.submit(lambda: asyncio.run(build(services))).result()
        line = SlowLine(app)
        yield EchoPage(stack.enter_context(running(line)), scripted, line)
