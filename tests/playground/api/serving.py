"""A real server in a thread on any free port."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp


class ReadyServer(uvicorn.Server):
    """Tells when it listens, and ends at once: uvicorn's own looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._ending.wait()

    def end(self) -> None:
        """Let what runs end, and close; from any thread."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._ending.set)


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serve the application; yields its base URL."""
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
    server = ReadyServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert server.ready.wait(30)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.end()
            thread.join()
