"""Who answers: the protocol that the local engine, a remote server and the scripted one share."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from playground.protocol.events import Event
from playground.protocol.request import Request, Sampling


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that requests may name.

    ``context_length`` is in tokens; ``defaults`` is how this model is best sampled; ``created`` is
    in seconds since the epoch, the time at which it was made available here.
    """

    name: str
    context_length: int
    description: str = ""
    defaults: Sampling = field(default_factory=Sampling)
    created: int = 0


class Backend(Protocol):
    """Answers requests. Every method may be called from any thread's event loop."""

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        ...

    def models(self) -> Sequence[ModelInfo]:
        """The models that requests may name, the default first."""
        ...

    def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt as the model would be given it."""
        ...

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer piece by piece; closing the generator early cancels the request.

        Raises `UnknownModel`, `InvalidRequest`, `Overloaded` before the first event, and
        `RequestFailed` or `EngineStopped` at any time.
        """
        ...

    def cancel(self, request_id: str) -> None:
        """End a request with finish reason ``cancelled``; unknown or finished ids are ignored."""
        ...
