"""Build the parts and start them: model, engine, API and page behind one port.

Beside the commands the only module that imports from every floor. Heavy libraries take seconds to
import, so functions import them: a wrong setting or a port in use is reported before that.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from playground.errors import InvalidSettings, NoNetwork, PlaygroundError, PortInUse
from playground.files import modified_s
from playground.runtime import freeze_heap, quiet_libraries
from playground.settings import AccessSettings, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from playground.backends.local import LocalBackend
    from playground.engine import Limits
    from playground.models.loaded import LoadedModel
    from playground.models.spec import ModelSpec
    from playground.protocol import ModelInfo
    from playground.services import Services
    from playground.store import Feedback
    from playground.store.responses import Responses
    from playground.studio.studio import Studio
    from playground.tools import Toolbox

DRAIN_SECONDS = 0.5
"""Time for running streams to send their last event."""
CONFIG_FILE = "config.json"
SHUTDOWN_SECONDS = 3
"""Time for requests that still run after that, before they are cancelled."""


def model_spec(settings: Settings) -> "ModelSpec":
    """Return the model to load, as the settings say."""
    from playground.models.spec import ModelSpec

    return ModelSpec(settings.model.name, **settings.model.model_dump(exclude={"name"}))


def engine_limits(settings: Settings) -> "Limits":
    """Return the engine's limits, as the settings say."""
    from playground.engine import Limits

    return Limits(
        **settings.engine.model_dump(),
        training=settings.training.priority,
    )


def load_model(settings: Settings) -> "LoadedModel":
    """Load the model. Where nobody chose one and the default cannot be fetched, it is the embedded
    one, and a warning says so. Raises a `ModelLoadError`."""
    from playground.models.loader import load

    spec = model_spec(settings)
    try:
        return load(spec, home=settings.home)
    except NoNetwork as problem:
        if "name" in settings.model.model_fields_set:
            raise
        logger = logging.getLogger(__name__)
        logger.warning("%s; the embedded model answers instead", problem.message)
        return load(replace(spec, source="embedded"), home=settings.home)


def start_backend(settings: Settings) -> "LocalBackend":
    """Load the model and the adapters that the settings name. Raises a `ModelLoadError`."""
    from playground.backends.local import LocalBackend

    loaded = load_model(settings)
    backend = LocalBackend(
        loaded,
        _describe(loaded),
        engine_limits(settings),
        stream_interval_s=settings.server.stream_interval_ms / 1000,
        schema_in_prompt=settings.structured.schema_in_prompt,
    )
    try:
        for adapter in settings.adapters.load:
            name, _, folder = adapter.rpartition("=")
            backend.load_adapter(Path(folder).expanduser(), name or None)
    except PlaygroundError:
        backend.close()
        raise
    return backend


def build_app(services: "Services") -> "FastAPI":
    """Return the application with API and page."""
    from playground.api import create_api
    from playground.ui import build_page, mount_page

    models = asyncio.run(services.backend.models())
    return mount_page(create_api(services), build_page(services, models))


@contextmanager
def open_studio(backend: "LocalBackend", settings: Settings) -> "Iterator[Studio]":
    """Open the training jobs and the adapter store; serve the adapters promoted in it.

    Where another server trains in the same home, this one serves without training.
    """
    from playground.studio.studio import Studio

    throttle, isolated = backend.throttle.wait, settings.training.isolated
    with Studio(settings.home, backend.loaded, backend, throttle, isolated=isolated) as studio:
        for problem in studio.serve_promoted():
            logging.getLogger(__name__).warning("not served: %s", problem)
        yield studio


@contextmanager
def open_feedback(settings: Settings) -> "Iterator[Feedback]":
    """Open the votes, edits and thumbs that people gave to answers."""
    from playground.store import Feedback

    feedback = Feedback(settings.home)
    try:
        yield feedback
    finally:
        feedback.close()


@contextmanager
def open_responses(settings: Settings) -> "Iterator[Responses]":
    """Open the stored responses of the API."""
    from playground.store.responses import Responses

    responses = Responses(settings.home)
    try:
        yield responses
    finally:
        responses.close()


@contextmanager
def open_tools(settings: Settings) -> "Iterator[Toolbox]":
    """Start the tools that run on this machine; none unless ``tools.run`` is set.

    Raises `InvalidSettings` for a file or a server that gives none.
    """
    from playground.tools import McpServers, Toolbox, built_in_tools, functions_of_file

    chosen = settings.tools
    if not chosen.run:
        if chosen.files or chosen.documents or chosen.mcp_servers:
            raise InvalidSettings("tools are given and do not run; add --run-tools")
        yield Toolbox()
        return
    if chosen.documents is not None and not chosen.documents.is_dir():
        raise InvalidSettings(f"tools.documents: {chosen.documents} is no folder")
    tools = list(built_in_tools(chosen.documents))
    for path in chosen.files:
        tools += functions_of_file(path)
    servers = McpServers(chosen.mcp_servers) if chosen.mcp_servers else None
    try:
        yield Toolbox([*tools, *(servers.tools if servers else ())])
    finally:
        if servers:
            servers.close()


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket before a model is loaded, so that a port in use is reported at once.

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
    """Serve until SIGINT or SIGTERM; then end running streams and close the engine."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle_signal)
    quiet_libraries()
    server = settings.server
    logging.basicConfig(level=server.log_level.upper(), format="%(levelname)s %(message)s")
    for noisy in ("httpx", "gradio", "mistral_common"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with listen(server.host, server.port) as listener:
        from playground.services import Services

        settings.home.mkdir(parents=True, exist_ok=True)
        with (
            open_tools(settings) as toolbox,
            start_backend(settings) as backend,
            open_feedback(settings) as feedback,
            open_responses(settings) as responses,
            open_studio(backend, settings) as studio,
        ):
            services = Services.create(
                backend,
                settings,
                toolbox=toolbox,
                studio=studio,
                feedback=feedback,
                responses=responses,
            )
            config = uvicorn.Config(
                build_app(services),
                log_config=None,
                log_level="warning",
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                ws="none",
            )
            address = _address(listener, server.host)
            freeze_heap()
            Server(config, backend, address).run(sockets=[listener])


@contextmanager
def served_api(backend: "LocalBackend") -> Iterator[str]:
    """Serve the API alone over a backend, without a key, on a free port; yields its address."""
    from playground.api import create_api
    from playground.services import Services

    api = create_api(Services.create(backend, Settings(access=AccessSettings())))
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
    """Prints its address when it is ready; ends running streams when it shuts down."""

    def __init__(self, config: uvicorn.Config, backend: "LocalBackend", address: str) -> None:
        super().__init__(config)
        self._backend = backend
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer requests."""
        await super().startup(sockets)
        info = self._backend.default_model
        window = f"{info.context_length:,} tokens of context"
        print(f"Mistral playground: {self._address}  (model {info.name}, {window})", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End running streams, then close the pages' connections: their heartbeats never end."""
        await asyncio.to_thread(self._backend.close)
        stopping = asyncio.create_task(super().shutdown(sockets))
        await asyncio.wait([stopping], timeout=DRAIN_SECONDS)
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
        created=modified_s(Path(loaded.model.name_or_path) / CONFIG_FILE),
    )


def _handle_signal(_number: int, _frame: FrameType | None) -> None:
    """Exit with status 0. uvicorn raises the signal again when it has shut down."""
    raise SystemExit(0)


def _address(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
