"""The whole page over a backend whose answers a test chooses: it says what it is told."""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from fastapi import FastAPI

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.lab.prompts import Prompts
from playground.protocol import ModelInfo, Request
from playground.services import Services
from playground.settings import load_settings
from playground.store import Feedback
from playground.store.conversations import Conversations
from playground.studio.studio import Studio
from playground.ui import build_page, mount_page
from tests.playground.api.serving import running

PIECE = 64
SLOWLY, PAUSE_S = "SLOWLY SAY:", 0.4
"""In a message: its answer comes in about twenty pieces, so many seconds apart."""
LATE, LATE_S = "LATE SAY:", 1.5
"""In a message: its answer comes so many seconds later."""
MODELS = (ModelInfo("echo", context_length=400_000), ModelInfo("other", context_length=400_000))


def echo(request: Request) -> Iterable[str]:
    """The last message, in pieces; of a message with a mark, what follows the mark."""
    text = request.messages[-1].content.partition("SAY:")[2] or request.messages[-1].content
    size = max(PIECE, len(text) // 20)
    return [text[start : start + size] for start in range(0, len(text), size)]


def pause_s(request: Request) -> float:
    """Seconds before each piece."""
    text = request.messages[-1].content
    return PAUSE_S if SLOWLY in text else LATE_S if LATE in text else 0.0


@contextmanager
def echo_page(backend: LocalBackend, home: Path) -> Iterator[str]:
    """Serve it; yields the URL."""
    scripted = ScriptedBackend(echo, models=MODELS, pause_s=pause_s)
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
        yield stack.enter_context(running(app))
