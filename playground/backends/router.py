"""`ModelRouter`: one backend over the resident model and other servers, chosen by the model's name.

Knows no HTTP; what begins with a server's alias and a slash is that server's, all else the
resident's.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from playground.errors import InvalidRequest, ModelLoading, UnknownModel
from playground.protocol import (
    AdapterBackend,
    ModelInfo,
    PromptTokenizer,
    Request,
    StreamEvent,
    TokenizerHost,
)

Watch = Callable[
    [Request, str, AsyncGenerator[StreamEvent, None]], AsyncGenerator[StreamEvent, None]
]
"""Passes the stream of an answer on; the text is the alias of another server, or empty."""


class ResidentBackend(AdapterBackend, TokenizerHost, PromptTokenizer, Protocol):
    """The backend of the model of this process."""


class NamedBackend(AdapterBackend, Protocol):
    """A backend whose models' names begin with its alias and a slash."""

    @property
    def alias(self) -> str:
        """What its models' names begin with."""
        ...


class Rules(Protocol):
    """What whoever asks may ask; see `playground.access.demo`."""

    def visible(self, models: Sequence[ModelInfo]) -> list[ModelInfo]:
        """Return the models that are there for them."""
        ...

    def missing(self, models: Sequence[ModelInfo]) -> list[str]:
        """Return what they may ask and is not served yet."""
        ...

    def asked(self, request: Request, models: Sequence[ModelInfo]) -> Request:
        """Return the request as it is asked, or raise why it is not."""
        ...


class ModelRouter:
    """A `Backend`, `AdapterHost` and `TokenizerHost`. It closes nothing. ``watch`` sees all
    answers, to count them; ``rules`` say which models there are for whoever asks, and ``serve``
    begins to serve one that they name."""

    def __init__(
        self,
        resident: ResidentBackend,
        others: Sequence[NamedBackend],
        watch: Watch | None = None,
        rules: Rules | None = None,
        serve: Callable[[str], object] | None = None,
    ) -> None:
        self._resident = resident
        self._others = tuple(others)
        self._watch = watch
        self._rules = rules
        self._serve = serve

    @property
    def running(self) -> bool:
        """Whether the resident model takes requests."""
        return self._resident.running

    @property
    def loading(self) -> bool:
        """Whether the resident model is still being loaded."""
        return self._resident.loading

    async def models(self) -> Sequence[ModelInfo]:
        """The resident models, then those of each server. Raises `UnknownModel`, or `ModelLoading`
        meanwhile, where none of those that a demo names is there."""
        found = await self._served()
        if self._rules is None:
            return found
        try:
            return self._rules.visible(found)
        except UnknownModel as error:
            if self._resident.loading:  # its adapters come with it
                raise ModelLoading(error.name) from None
            raise

    async def _served(self) -> list[ModelInfo]:
        found = await self._listed()
        if self._rules is None or self._serve is None or self._resident.loading:
            return found
        missing = self._rules.missing(found)
        for name in missing:
            await asyncio.to_thread(self._serve, name)
        return await self._listed() if missing else found

    async def _listed(self) -> list[ModelInfo]:
        found = list(await self._resident.models())
        for other in self._others:
            found += await other.models()
        return found

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt; see `Backend`."""
        request = await self._asked(request)
        return await self._of(request.model).count_tokens(request)

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Answer piece by piece; see `Backend`."""
        request = await self._asked(request)
        backend = self._of(request.model)
        stream = backend.stream(request)
        if self._watch:
            alias = next((each.alias for each in self._others if each is backend), "")
            stream = self._watch(request, alias, stream)
        async with aclosing(stream) as events:
            async for event in events:
                yield event

    def cancel(self, request_id: str) -> None:
        """End a request, on whichever server it runs."""
        for backend in (self._resident, *self._others):
            backend.cancel(request_id)

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Serve an adapter: by the server whose alias its name begins with; see `AdapterHost`."""
        return self._of(name or "").load_adapter(folder, name, listed=listed)

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; see `AdapterHost`."""
        self._of(name).unload_adapter(name)

    def uses_of(self, content_hash: str) -> int:
        """Requests running with this version of an adapter; see `AdapterHost`."""
        return self._resident.uses_of(content_hash)

    async def tokenize(self, request: Request) -> list[int]:
        """Token ids of the request's prompt, of a resident model only. Raises `InvalidRequest`."""
        request = await self._asked(request)
        self._require_resident(request.model)
        return await self._resident.tokenize(request)

    async def prompt_ids(self, request: Request) -> list[int]:
        """Token ids of the request's prompt, by whoever has the model; see `PromptTokenizer`."""
        request = await self._asked(request)
        return await self._tokenizer_of(request.model).prompt_ids(request)

    async def prefix_id(self, model: str) -> int | None:
        """The token before a text, by whoever has the model; see `PromptTokenizer`."""
        return await self._tokenizer_of(model).prefix_id(model)

    async def tokenize_answer(self, request: Request, text: str) -> list[int]:
        """Token ids of a whole answer, of a resident model only. Raises `InvalidRequest`."""
        request = await self._asked(request)
        self._require_resident(request.model)
        return await self._resident.tokenize_answer(request, text)

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of text alone, by the resident tokenizer."""
        return self._resident.encode_plain(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, by the resident tokenizer."""
        return self._resident.decode(token_ids)

    async def _asked(self, request: Request) -> Request:
        return self._rules.asked(request, await self._served()) if self._rules else request

    def _require_resident(self, model: str) -> None:
        if self._of(model) is not self._resident:
            raise InvalidRequest("model", f"{model} does not show its tokenizer here")

    def _tokenizer_of(self, model: str) -> PromptTokenizer:
        backend = self._of(model)
        if not isinstance(backend, PromptTokenizer):
            raise InvalidRequest("model", f"the server of {model} tells no token ids")
        return backend

    def _of(self, model: str) -> AdapterBackend:
        for other in self._others:
            if model.startswith(f"{other.alias}/"):
                return other
        return self._resident
