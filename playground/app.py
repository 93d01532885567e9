"""Choose the parts and start them: model, engine, API and page behind one port.

The only place, with the command line, that knows all floors. Heavy libraries are imported inside
functions: they take seconds, and what is wrong with a setting or a port is said before that.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from playground.errors import InvalidSettings, PlaygroundError, PortInUse
from playground.runtime import freeze_heap, quiet_libraries
from playground.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from playground.engine import Engine
    from playground.models.loaded import LoadedModel
    from playground.models.spec import ModelSpec
    from playground.protocol import ModelInfo
    from playground.store import Feedback
    from playground.studio.studio import Studio
    from playground.tools import Toolbox

LAST_WORDS_SECONDS = 0.5
"""How long answers have to send their last event."""
SHUTDOWN_SECONDS = 3
"""How long whatever runs after that may take before it is cancelled."""


def model_spec(settings: Settings) -> "ModelSpec":
    """What to load, as the settings say."""
    from playground.models.spec import ModelSpec

    return ModelSpec(
        source=settings.model,
        revision=settings.revision,
        precision=settings.precision,
        quantization=settings.quantization,
        device=settings.device,
        attention=settings.attention,
        context_length=settings.context_length,
    )


def start_engine(settings: Settings) -> "Engine":
    """The engine over the model that the settings name. Raises a `ModelLoadError`."""
    from playground.engine import Engine, Limits
    from playground.models.loader import load

    loaded = load(model_spec(settings), home=settings.home)
    limits = Limits(
        max_sequences=settings.max_sequences,
        step_tokens=settings.step_tokens,
        max_waiting=settings.max_waiting,
        kv_cache_gib=settings.kv_cache_gib,
        kv_layout=settings.kv_layout,
        prefix_cache=settings.prefix_cache,
        drafts=settings.drafts,
        max_adapters=settings.max_adapters,
        training=settings.training,
        stream_interval_s=settings.stream_interval_ms / 1000,
    )
    engine = Engine(loaded, _describe(loaded), limits)
    try:
        for adapter in settings.adapters:
            name, _, folder = adapter.rpartition("=")
            engine.load_adapter(Path(folder).expanduser(), name or None)
    except PlaygroundError:
        engine.close()
        raise
    return engine


def build_app(
    engine: "Engine", settings: Settings, toolbox: "Toolbox", studio: "Studio", feedback: "Feedback"
) -> "FastAPI":
    """API and page in one application."""
    from playground.api import create_api
    from playground.ui import build_page, mount_page

    page = build_page(engine, settings, toolbox, studio, feedback)
    return mount_page(create_api(engine, settings, studio), page)


@contextmanager
def open_studio(engine: "Engine", settings: Settings) -> "Iterator[Studio]":
    """Training jobs and the store of adapters, whose promoted ones are served from here on.

    Raises `Conflict` if another server trains in the same home.
    """
    from playground.studio.studio import Studio

    turn = engine.throttle.wait
    with Studio(settings.home, engine.loaded, engine, turn, isolated=settings.isolated) as studio:
        for problem in studio.serve_promoted():
            logging.getLogger(__name__).warning("not served: %s", problem)
        yield studio


@contextmanager
def open_feedback(settings: Settings) -> "Iterator[Feedback]":
    """What people say about answers."""
    from playground.store import Feedback

    feedback = Feedback(settings.home)
    try:
        yield feedback
    finally:
        feedback.close()


@contextmanager
def open_tools(settings: Settings) -> "Iterator[Toolbox]":
    """The tools that run here; none unless the administrator turned them on.

    Raises `InvalidSettings` for a file or a server that gives none.
    """
    from playground.tools import McpServers, Toolbox, built_in_tools, functions_of_file

    if not settings.run_tools:
        if settings.tool_files or settings.tool_documents or settings.mcp_servers:
            raise InvalidSettings("tools are given and do not run; add --run-tools")
        yield Toolbox()
        return
    documents = settings.tool_documents
    if documents is not None and not documents.is_dir():
        raise InvalidSettings(f"tool_documents: {documents} is no folder")
    tools = list(built_in_tools(documents))
    for path in settings.tool_files:
        tools += functions_of_file(path)
    servers = McpServers(settings.mcp_servers) if settings.mcp_servers else None
    try:
        yield Toolbox([*tools, *(servers.tools if servers else ())])
    finally:
        if servers:
            servers.close()


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is known before a model is loaded.

    Raises `PortInUse`; port 0 takes any free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortInUse(host, port, error.strerror or str(error)) from error
    return listener


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; running streams then end and the engine is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    quiet_libraries()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(message)s")
    for noisy in ("httpx", "gradio", "mistral_common"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with listen(settings.host, settings.port) as listener:
        settings.home.mkdir(parents=True, exist_ok=True)
        with (
            open_tools(settings) as toolbox,
            start_engine(settings) as engine,
            open_feedback(settings) as feedback,
            open_studio(engine, settings) as studio,
        ):
            config = uvicorn.Config(
                build_app(engine, settings, toolbox, studio, feedback),
                log_config=None,
                log_level="warning",
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                ws="none",
            )
            address = _address(listener, settings.host)
            freeze_heap()
            Server(config, engine, address).run(sockets=[listener])


@contextmanager
def served_api(engine: "Engine") -> Iterator[str]:
    """The API alone over an engine, on a free port of this machine; its address."""
    from playground.api import create_api

    api = create_api(engine, Settings(api_key=None))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, log_level="warning", ws="none"))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Server(uvicorn.Server):
    """Says where it listens once it does; ends what is being answered when it is to stop."""

    def __init__(self, config: uvicorn.Config, engine: "Engine", address: str) -> None:
        super().__init__(config)
        self._engine = engine
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        info = self._engine.models()[0]
        window = f"{info.context_length:,} tokens of context"
        print(f"Mistral playground: {self._address}  (model {info.name}, {window})", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End running answers, then hang up on pages, whose heartbeats would go on for ever."""
        await asyncio.to_thread(self._engine.close)
        stopping = asyncio.create_task(super().shutdown(sockets))
        await asyncio.wait([stopping], timeout=LAST_WORDS_SECONDS)
        for connection in list(self.server_state.connections):
            if connection.transport:
                connection.transport.close()
        await stopping


def _describe(loaded: "LoadedModel") -> "ModelInfo":
    from playground.models.catalogue import find
    from playground.protocol import ModelInfo, Sampling

    entry = find(loaded.spec.source)
    return ModelInfo(
        name=loaded.name,
        context_length=loaded.context_length,
        description=entry.description if entry else f"Loaded from {loaded.spec.source}.",
        defaults=entry.sampling if entry else Sampling(),
        created=int(time.time()),
        call_form=loaded.tokenizer.call_format,
    )


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Asked to stop is not an error. uvicorn raises the signal again when it has shut down."""
    raise SystemExit(0)


def _address(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
