"""A backend whose requests wait behind all others. Knows no engine."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from playground.protocol import Backend, ModelInfo, Priority, Request, StreamEvent


class LowPriority:
    """A `Backend` that hands every request on to another with the priority of a batch."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        return self._backend.running

    @property
    def loading(self) -> bool:
        """Whether the model is still being loaded."""
        return self._backend.loading

    async def models(self) -> Sequence[ModelInfo]:
        """The models of the backend."""
        return await self._backend.models()

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt."""
        return await self._backend.count_tokens(request)

    async def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Answer piece by piece, behind all others."""
        later = replace(request, priority=Priority.BATCH)
        async with aclosing(self._backend.stream(later)) as events:
            async for event in events:
                yield event

    def cancel(self, request_id: str) -> None:
        """End a request."""
        self._backend.cancel(request_id)
