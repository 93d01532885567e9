"""Serve: API and page behind one port, while the model loads in a thread.

Knows sockets, signals and uvicorn; what is served is put together in `playground.assembly`.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from playground.app import expected_model, model_spec
from playground.assembly import ModelLoader, open_services
from playground.errors import PortInUse
from playground.logs import set_up_logging
from playground.runtime import quiet_libraries, replaced_at_import, without
from playground.settings import AccessSettings, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from playground.access import FairUse
    from playground.backends.deferred import DeferredBackend
    from playground.backends.local import LocalBackend
    from playground.services import Services
    from playground.studio.studio import Studio

DRAIN_POLL_S = 0.05
LAST_EVENT_S = 0.5
"""Time for running streams to send their last event."""
SHUTDOWN_SECONDS = 3
"""Time for requests that still run after that, before they are cancelled."""


def build_app(services: "Services") -> "FastAPI":
    """Return the application with API and page."""
    from playground.api import create_api

    with (
        without("mcp"),  # Gradio would import its server of tools, which is not served here
        # At each import Gradio parses its own source to write type stubs beside it (6.31).
        replaced_at_import("gradio.component_meta", "create_or_modify_pyi", lambda *_: None),
    ):
        from playground.ui import build_page, mount_page

    models = asyncio.run(services.backend.models())
    return mount_page(create_api(services), build_page(services, models))


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
    """Serve until SIGINT or SIGTERM; then end running streams and close the engine. After SIGTERM
    they have `ServerSettings.drain_s` to come to their own end, until a second signal.

    Page and API answer while the model loads. Raises why it cannot be loaded.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle_signal)
    quiet_libraries()
    server = settings.server
    set_up_logging(server.log_level, server.log_format)
    from playground.access import FairUse, check_exposure

    check_exposure(settings)
    with listen(server.host, server.port) as listener:
        from playground.backends.deferred import DeferredBackend
        from playground.models.resident import ResidentModel

        settings.home.mkdir(parents=True, exist_ok=True)
        info = expected_model(settings)
        fair_use = FairUse(settings.limits, settings.engine.max_sequences, has_budgets=True)
        backend = DeferredBackend(info, fair_use.turn)
        loader = ModelLoader(settings, backend, ResidentModel(info.name, model_spec(settings)))
        try:
            _serve_on(listener, settings, backend, loader, fair_use)
        except SystemExit:
            if loader.loading:
                # A thread inside an import of C++ aborts the interpreter that finalizes around it.
                sys.stdout.flush()
                os._exit(0)
            raise
        if loader.failure:
            raise loader.failure


def _serve_on(
    listener: socket.socket,
    settings: Settings,
    backend: "DeferredBackend",
    loader: ModelLoader,
    fair_use: "FairUse",
) -> None:
    """Serve page and API; load the model meanwhile. Returns at once if that fails."""
    with open_services(settings, backend, loader, fair_use) as services:
        config = uvicorn.Config(
            build_app(services),
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            ws="none",
        )
        address = _address(listener, settings.server.host) + settings.server.root_path
        access, studio = services.access, services.studio
        assert studio is not None  # opened with the others
        has_passwords = access.asks and not settings.access.oidc.only
        if has_passwords and access.people and (token := access.people.setup_token()):
            print(f"Make the first administrator: {address}/setup?token={token}", flush=True)
        Server(config, backend, loader, studio, address, settings.server.drain_s).run([listener])


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
    """Prints its address when it answers, and the model when it is loaded; ends if that fails.

    Running streams end when it shuts down: after SIGTERM by themselves, within ``drain_s``.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        backend: "DeferredBackend",
        loader: ModelLoader,
        studio: "Studio",
        address: str,
        drain_s: float,
    ) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._signals: list[int] = []
        self._backend = backend
        self._loader = loader
        self._studio = studio
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer requests, and to load the model."""
        await super().startup(sockets)
        (info,) = await self._backend.models()
        print(f"Mistral playground: {self._address}  (loading {info.name} …)", flush=True)
        self._loader.start(self._studio, self._model_came)

    def _model_came(self) -> None:
        """In the loader's thread: say so; end if it failed."""
        if self._loader.failure:
            self.should_exit = True
        elif self._backend.running:
            info = asyncio.run(self._backend.models())[0]
            print(
                f"Ready: model {info.name}, {info.context_length:,} tokens of context", flush=True
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End running streams, then close what is open: a Gradio client's heartbeat never ends."""
        self._backend.drain()
        interrupted = asyncio.create_task(asyncio.to_thread(self._studio.close))
        if self._signals == [signal.SIGTERM]:
            await self._drain()
        await asyncio.to_thread(self._backend.close)
        stopping = asyncio.create_task(super().shutdown(sockets))
        await asyncio.wait([stopping], timeout=LAST_EVENT_S)
        for connection in list(self.server_state.connections):
            if connection.transport:
                connection.transport.close()
        await stopping
        await interrupted

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down; the second signal ends the time that running answers have."""
        self._signals.append(sig)
        super().handle_exit(sig, frame)

    async def _drain(self) -> None:
        deadline = time.monotonic() + self._drain_s
        if live := self._backend.live:
            answers = "1 answer has" if live == 1 else f"{live} answers have"
            print(f"Shutting down: {answers} {self._drain_s:g} s to end", flush=True)
        while self._backend.live and len(self._signals) == 1 and time.monotonic() < deadline:
            await asyncio.sleep(DRAIN_POLL_S)


def _handle_signal(_number: int, _frame: FrameType | None) -> None:
    """Exit with status 0. uvicorn raises the signal again when it has shut down."""
    raise SystemExit(0)


def _address(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
