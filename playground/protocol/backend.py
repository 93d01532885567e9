"""Who answers: the protocol that the local engine, a remote server and the scripted one share."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from playground.protocol.events import Event, Provenance
from playground.protocol.request import CallForm, Request, Sampling


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that requests may name.

    ``context_length`` is in tokens; ``defaults`` is how this model is best sampled; ``created`` is
    in seconds since the epoch, the time at which it was made available here. ``adapter`` is empty
    for a base model; an adapter's model is named ``base:adapter`` and answers to ``adapter`` too.
    ``call_form`` is how it writes tool calls; None if nobody taught it to. ``provenance`` is what
    identifies its weights.
    """

    name: str
    context_length: int
    description: str = ""
    defaults: Sampling = field(default_factory=Sampling)
    created: int = 0
    adapter: str = ""
    call_form: CallForm | None = "mistral"
    provenance: Provenance = field(default_factory=Provenance)


def named(models: Sequence[ModelInfo], name: str) -> ModelInfo | None:
    """The model that answers to ``name``."""
    whole = (info for info in models if info.name == name)
    return next(whole, next((info for info in models if name and info.adapter == name), None))


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


@runtime_checkable
class AdapterHost(Protocol):
    """A backend whose adapters come and go while it answers."""

    def load_adapter(
        self, folder: Path, name: str | None = None, *, listed: bool = True
    ) -> ModelInfo:
        """Serve the adapter in ``folder``, at once and under ``name`` or the folder's; what was
        served under it ends with the requests that run. One that is not ``listed`` answers to its
        name and is not among the `Backend.models`.

        Raises `BrokenAdapter` or `WrongBase`; what was served goes on then.
        """
        ...

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away from new requests. Raises `UnknownModel`."""
        ...

    def uses_of(self, content_hash: str) -> int:
        """Requests that are being answered with this version of an adapter, or wait for it."""
        ...
