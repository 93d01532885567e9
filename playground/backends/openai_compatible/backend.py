"""`RemoteBackend`: requests answered by another server, from any event loop.

All connections live in the loop of `IoLoop`; a list of what the server serves is kept up to date
there, so that nobody who asks for `models` waits for the network.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from playground.backends.openai_compatible.asking import (
    Served,
    capabilities_of,
    list_models,
)
from playground.backends.openai_compatible.body import chat_body, completion_body
from playground.backends.openai_compatible.counting import prefix_id, prompt_ids, prompt_tokens
from playground.backends.openai_compatible.expected import Expected, expected_of
from playground.backends.openai_compatible.io_loop import IoLoop
from playground.backends.openai_compatible.offer import described, not_asked_yet
from playground.backends.openai_compatible.ollama import as_chunk, ollama_body
from playground.backends.openai_compatible.reader import AnswerReader
from playground.backends.openai_compatible.server import RemoteServer
from playground.backends.openai_compatible.wire import Wire
from playground.errors import (
    AdapterChanged,
    BackendUnavailable,
    EngineStopped,
    InvalidRequest,
    PlaygroundError,
    RequestFailed,
    UnknownModel,
)
from playground.protocol import (
    Capabilities,
    Finished,
    ModelInfo,
    Request,
    StreamEvent,
    check_capabilities,
)
from playground.protocol.json_types import JsonObject

REFRESH_S = 30.0
HOSTED_REFRESH_S = 600.0
DOWN_REFRESH_S = 10.0
ADAPTER_TIMEOUT_S = 300.0
Deliver = Callable[[StreamEvent | PlaygroundError], None]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request in the server's dialect; ``streams`` unless it has to answer in one piece."""

    url: str
    body: JsonObject
    expected: Expected
    streams: bool


class RemoteBackend:
    """A `Backend` and `AdapterHost` over one server. Its models are named ``ALIAS/NAME``.

    ``wire`` is for tests. Call `start` to keep the list of models up to date, and `close` at the
    end.
    """

    def __init__(self, server: RemoteServer, io: IoLoop, wire: Wire | None = None) -> None:
        self.server = server
        self._io = io
        self._wire = wire or Wire(server)
        self._served: tuple[Served, ...] = ()
        self._can: dict[str, Capabilities] = {}
        self._problem = ""
        self._refreshing = asyncio.Lock()
        self._running: dict[str, Future[None]] = {}
        self._cancelled: set[str] = set()
        self._keeping: Future[None] | None = None
        self._closed = False

    @property
    def alias(self) -> str:
        """What its models' names begin with."""
        return self.server.alias

    @property
    def reached(self) -> bool:
        """Whether the server answered at the last look."""
        return bool(self._served) and not self._problem

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return not self._closed

    @property
    def loading(self) -> bool:
        """Never."""
        return False

    def start(self) -> None:
        """Ask the server now and again what it serves."""
        self._keeping = self._io.start(self._keep_asking())

    def close(self) -> None:
        """End running streams, which raise `EngineStopped`, and close the connections."""
        self._closed = True
        if self._keeping:
            self._keeping.cancel()
        for future in list(self._running.values()):
            future.cancel()
        self._io.start(self._wire.close()).result()

    async def refresh(self) -> None:
        """Ask what is served now. Raises `BackendUnavailable` and the like."""
        await self._io.run(self._ask())

    async def models(self) -> Sequence[ModelInfo]:
        """The models as they were at the last look; before it, those that the settings name."""
        return self._models()

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the prompt, counted by the server. Raises `InvalidRequest` where it cannot."""
        served = self._find(request.model)
        return await self._io.run(prompt_tokens(self._wire, request, served.id))

    async def prompt_ids(self, request: Request) -> list[int]:
        """Token ids of the prompt, as the server tells them; see `PromptTokenizer`."""
        served = self._find(request.model)
        return await self._io.run(prompt_ids(self._wire, request, served.id))

    async def prefix_id(self, model: str) -> int | None:
        """The token before a text that nothing precedes; see `PromptTokenizer`."""
        return await self._io.run(prefix_id(self._wire, self._find(model).id))

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Answer piece by piece; closing the generator early cancels the request."""
        if self._closed:
            raise EngineStopped("the server is shutting down")
        served = await self._asked_model(request.model)
        info = self._describe(served)
        if request.adapter_hash and request.adapter_hash != info.provenance.adapter_hash:
            raise AdapterChanged(request.model, request.adapter_hash, "not known")
        check_capabilities(request, info)
        prepared = await asyncio.to_thread(self._prepare, request, served, info)
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[StreamEvent | PlaygroundError] = asyncio.Queue()

        def deliver(item: StreamEvent | PlaygroundError) -> None:
            with suppress(RuntimeError):  # the caller's loop has ended
                loop.call_soon_threadsafe(events.put_nowait, item)

        future = self._io.start(self._produce(request, prepared, deliver))
        self._running[request.id] = future
        try:
            while True:
                event = await events.get()
                if isinstance(event, PlaygroundError):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._running.pop(request.id, None)
            self._cancelled.discard(request.id)
            future.cancel()

    def cancel(self, request_id: str) -> None:
        """End a request with finish reason ``cancelled``; its connection is closed."""
        future = self._running.get(request_id)
        if future:
            self._cancelled.add(request_id)
            future.cancel()

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Have the server load the adapter from ``folder``, a path there; see `AdapterHost`."""
        bare = (name or folder.name).removeprefix(f"{self.alias}/")
        body = {"lora_name": bare, "lora_path": str(folder)}
        self._change_adapter("load_lora_adapter", body)
        del listed  # the server lists all that it has
        found = next((served for served in self._served if served.id == bare), None)
        if found is None:
            problem = f"took the adapter {bare!r} and does not list it"
            raise BackendUnavailable(self.alias, problem)
        return self._describe(found)

    def unload_adapter(self, name: str) -> None:
        """Have the server forget the adapter; see `AdapterHost`."""
        served = self._find(name)
        if not served.parent:
            raise UnknownModel(name, [info.name for info in self._models() if info.adapter])
        self._change_adapter("unload_lora_adapter", {"lora_name": served.id})

    def uses_of(self, content_hash: str) -> int:  # noqa: ARG002 - as `AdapterHost` has it
        """Return 0: other servers do not name versions of adapters."""
        return 0

    def _change_adapter(self, path: str, body: dict[str, str]) -> None:
        if not self.server.kind.adapters:
            raise InvalidRequest(
                "lora_name", f"{self.server.kind.title} does not load adapters while it answers"
            )

        async def change() -> None:
            await self._wire.post(f"{self.server.api}/{path}", body)
            await self._ask()

        self._io.start(change()).result(ADAPTER_TIMEOUT_S)

    async def _keep_asking(self) -> None:
        hosted = self.server.kind.name in ("together", "mistral")
        while True:
            try:
                await self._ask()
            except PlaygroundError as error:
                if not self._problem:
                    logging.getLogger(__name__).warning("%s", error.message)
                self._problem = error.message
            pause = HOSTED_REFRESH_S if hosted else REFRESH_S
            await asyncio.sleep(DOWN_REFRESH_S if self._problem else pause)

    async def _ask(self) -> None:
        async with self._refreshing:
            served = await list_models(self._wire)
            if self._problem:
                self._can = {}  # it may have come back with other flags
            for model in served:
                if model.parent in self._can:
                    self._can[model.id] = self._can[model.parent]
                elif model.id not in self._can:
                    self._can[model.id] = await capabilities_of(self._wire, model)
            self._served = tuple(served)
            self._problem = ""

    async def _asked_model(self, name: str) -> Served:
        """The model, once it is known what it can do. Raises `UnknownModel`."""
        known = {self._name(served): served for served in self._served}
        if name not in known:
            await self.refresh()
        return self._find(name)

    def _find(self, name: str) -> Served:
        for served in self._served or not_asked_yet(self.server):
            if self._name(served) == name:
                return served
        raise UnknownModel(name, [info.name for info in self._models()])

    def _name(self, served: Served) -> str:
        return f"{self.alias}/{served.name}"

    def _models(self) -> tuple[ModelInfo, ...]:
        return tuple(
            self._describe(served) for served in self._served or not_asked_yet(self.server)
        )

    def _describe(self, served: Served) -> ModelInfo:
        return described(self.server, served, self._can.get(served.id), self._problem)

    def _prepare(self, request: Request, served: Served, info: ModelInfo) -> _Prepared:
        """Everything that can be refused without the server is refused here."""
        kind, limit = self.server.kind, request.sampling.max_tokens
        if request.fit_max_tokens and limit is not None and limit >= info.context_length:
            request = replace(request, sampling=replace(request.sampling, max_tokens=None))
        expected = expected_of(request)
        if kind.name == "ollama":
            window = next(
                (model.context_length for model in self.server.models if model.id == served.id),
                None,
            )
            path, body = ollama_body(request, served.id, kind, window)
            return _Prepared(self.server.root + path, body | {"stream": True}, expected, True)
        is_chat = request.prompt is None
        body = (chat_body if is_chat else completion_body)(request, served.id, kind)
        streams = request.sampling.prompt_logprobs is None
        body["stream"] = streams
        if streams and kind.usage_option:
            body["stream_options"] = {"include_usage": True}
        path = "/chat/completions" if is_chat else "/completions"
        return _Prepared(self.server.api + path, body, expected, streams)

    async def _produce(self, request: Request, prepared: _Prepared, deliver: Deliver) -> None:
        """In the loop of the connections: deliver the events, the last one or an error."""
        reader = AnswerReader(request, prepared.expected, self.server)
        try:
            async with aclosing(self._objects(prepared)) as objects:
                async for item in objects:
                    for event in reader.push(item):
                        deliver(event)
            missing = reader.missing_arguments()
            if missing:
                deliver(missing)
            deliver(reader.finish())
        except asyncio.CancelledError:
            if self._closed:
                deliver(EngineStopped("the server is shutting down"))
            elif request.id in self._cancelled:
                deliver(reader.cancelled())
            raise
        except PlaygroundError as error:
            deliver(error)
        except Exception:
            logging.getLogger(__name__).exception("backend %s", self.alias)
            deliver(RequestFailed(f"{self.alias}: its answer could not be read; the log says why"))

    async def _objects(self, prepared: _Prepared) -> AsyncGenerator[JsonObject, None]:
        if not prepared.streams:
            yield await self._wire.post(prepared.url, prepared.body, self.server.retries)
            return
        native = self.server.kind.name == "ollama"
        async with aclosing(self._wire.stream(prepared.url, prepared.body)) as objects:
            async for item in objects:
                yield as_chunk(item) if native else item
