"""Tools of Model Context Protocol servers (https://modelcontextprotocol.io), through the `mcp` SDK:
a command spoken to over stdin and stdout, or the address of a streamable HTTP server.

A session belongs to the task that opened it. So all sessions live in one thread with an event loop
of their own, and calls are handed over to it from wherever they come.
"""

import asyncio
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from mcp import Client, Implementation, MCPError, StdioServerParameters
from mcp.types import CallToolResult, TextContent

from playground import __version__
from playground.errors import InvalidSettings, ToolFailed
from playground.protocol import Tool
from playground.tools.toolbox import TIME_LIMIT_S, RunnableTool

CONNECT_SECONDS = 30.0
WHO = Implementation(name="mistral-playground", version=__version__)


class McpServers:
    """Open sessions with MCP servers, until `close`.

    ``addresses`` are ``NAME=URL`` or ``NAME=COMMAND ARGUMENT …``. Raises `InvalidSettings` naming
    the server that cannot be reached, and why.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._sessions: list[_Session] = []
        self.tools: tuple[RunnableTool, ...] = ()
        self._thread.start()
        try:
            for address in addresses:
                self._open(address)
        except InvalidSettings:
            self.close()
            raise

    def close(self) -> None:
        """End every session, and the processes behind them."""
        for session in self._sessions:
            self._loop.call_soon_threadsafe(session.leave.set)
        for session in self._sessions:
            session.ended.result(CONNECT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _open(self, address: str) -> None:
        name, separator, where = address.partition("=")
        if not (separator and name and where):
            raise InvalidSettings(f"mcp_servers: {address!r} is not NAME=URL or NAME=COMMAND")
        session = _Session(where)
        session.ended = asyncio.run_coroutine_threadsafe(session.live(), self._loop)
        self._sessions.append(session)
        try:
            tools = session.opened.result(CONNECT_SECONDS)
        except TimeoutError as error:
            self._loop.call_soon_threadsafe(session.leave.set)
            raise InvalidSettings(
                f"mcp_servers: {name} did not answer within {CONNECT_SECONDS:g} seconds"
            ) from error
        except Exception as error:  # whatever a foreign process or server does
            raise InvalidSettings(f"mcp_servers: {name}: {_innermost(error)}") from error
        self.tools += tuple(
            RunnableTool(tool, self._runner(session, tool.name), f"MCP server {name}")
            for tool in tools
        )

    def _runner(self, session: "_Session", name: str) -> Callable[[Mapping[str, Any]], Any]:
        async def run(arguments: Mapping[str, Any]) -> str:
            if self._loop.is_closed():
                raise ToolFailed("the server behind this tool has ended")
            handed = asyncio.run_coroutine_threadsafe(session.call(name, arguments), self._loop)
            return await asyncio.wrap_future(handed)

        return run


class _Session:
    """One server's session; lives in the loop of `McpServers`."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._client: Client | None = None
        self.opened: Future[list[Tool]] = Future()
        self.ended: Future[None] = Future()
        self.leave = asyncio.Event()

    async def live(self) -> None:
        """Open, tell the tools, wait to be told to leave, close."""
        try:
            async with Client(self._server(), client_info=WHO) as client:
                self._client = client
                listed: list[Tool] = []
                cursor: str | None = None
                while True:
                    page = await client.list_tools(cursor=cursor)
                    listed += [
                        Tool(each.name, each.description or "", each.input_schema)
                        for each in page.tools
                    ]
                    cursor = page.next_cursor
                    if not cursor:
                        break
                self.opened.set_result(listed)
                await self.leave.wait()
        except Exception as error:  # noqa: BLE001 - reported to whoever opened it
            if not self.opened.done():
                self.opened.set_exception(error)
        finally:
            self._client = None

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The text of a call's result. Raises `ToolFailed`."""
        if self._client is None:
            raise ToolFailed("the server behind this tool has ended")
        try:
            result = await self._client.call_tool(
                name, dict(arguments), read_timeout_seconds=TIME_LIMIT_S
            )
        except MCPError as error:
            raise ToolFailed(str(error)) from error
        text = _text(result)
        if result.is_error:
            raise ToolFailed(text or f"{name} failed")
        return text

    def _server(self) -> str | StdioServerParameters:
        if self._where.startswith(("http://", "https://")):
            return self._where
        command, *arguments = shlex.split(self._where)
        return StdioServerParameters(command=command, args=arguments)


def _text(result: CallToolResult) -> str:
    """The result's text; what is no text is named by its kind."""
    return "\n".join(
        part.text if isinstance(part, TextContent) else f"[{part.type}]" for part in result.content
    )


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
