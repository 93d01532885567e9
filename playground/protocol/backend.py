"""The protocol of whatever answers requests: the local engine, a remote server, a script."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from playground.errors import InvalidRequest, UnknownModel
from playground.protocol.answers import Provenance, StreamEvent
from playground.protocol.request import Request, Sampling


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do with a model. A request for anything else is refused with the reason.

    ``tools``: function calling. ``schema``: answers that meet a JSON schema. ``logprobs``: token
    log-probabilities. ``adapters``: LoRA adapters. ``training``: training of adapters.
    ``reasoning``: answers may begin with reasoning; ``reasoning_efforts``: how much of it a request
    may ask for, empty where the model has no such setting. ``enforces``: decoding cannot break a
    schema, and the backend says of each answer whether that held; otherwise answers are checked
    when they are complete. ``why_not`` says, by the name of a
    capability that is missing, why it is.
    """

    tools: bool = True
    schema: bool = True
    logprobs: bool = True
    adapters: bool = False
    training: bool = False
    reasoning: bool = False
    reasoning_efforts: tuple[str, ...] = ()
    enforces: bool = True
    why_not: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that requests may name.

    ``context_length`` is in tokens; ``defaults`` is how this model is best sampled; ``created`` is
    in seconds since the epoch, the age of its files: it stays the same from start to start.
    ``adapter`` is empty for a base model; an adapter's model is named ``base:adapter`` and answers
    to ``adapter`` too. ``provenance`` identifies its weights.
    """

    name: str
    context_length: int
    description: str = ""
    defaults: Sampling = field(default_factory=Sampling)
    created: int = 0
    adapter: str = ""
    capabilities: Capabilities = Capabilities()
    provenance: Provenance = field(default_factory=Provenance)


class Backend(Protocol):
    """Answers requests. Every method may be called from any thread's event loop."""

    @property
    def running(self) -> bool:
        """Whether requests are taken."""
        ...

    @property
    def loading(self) -> bool:
        """Whether the model is still being loaded, so that requests are not taken yet."""
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """The models that requests may name, the default first."""
        ...

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt as the model would be given it."""
        ...

    def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
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
        """Serve the adapter in ``folder`` from now on, under ``name`` or the folder's name.

        Running requests finish with the version they began with. An adapter that is not ``listed``
        answers to its name and is not among the `Backend.models`.
        Raises `BrokenAdapter` or `WrongBase`; the previous version is served on then.
        """
        ...

    def unload_adapter(self, name: str) -> None:
        """Take an adapter away from new requests. Raises `UnknownModel`."""
        ...

    def uses_of(self, content_hash: str) -> int:
        """Requests running with this version of an adapter, or waiting for it."""
        ...


class AdapterBackend(Backend, AdapterHost, Protocol):
    """A backend whose adapters come and go."""


@runtime_checkable
class TokenizerHost(Protocol):
    """A backend whose tokenizer may be used."""

    async def tokenize(self, request: Request) -> list[int]:
        """Token ids of the request's prompt as the model would be given it."""
        ...

    async def tokenize_answer(self, request: Request, text: str) -> list[int]:
        """Token ids of ``text`` as the whole answer to the request's messages, with the end behind
        it."""
        ...

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of text alone, without a beginning-of-sequence token."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, control tokens by their names in grammars: ``<INST>``.

        Raises `InvalidRequest` for an id outside the vocabulary.
        """
        ...


@runtime_checkable
class PromptTokenizer(Protocol):
    """A backend that tells a prompt's token ids, also of a model that another server has."""

    async def prompt_ids(self, request: Request) -> list[int]:
        """Token ids of the request's prompt. Raises `InvalidRequest` where nobody tells them."""
        ...

    async def prefix_id(self, model: str) -> int | None:
        """The token before a text that nothing precedes: the beginning of sequence, or the end
        token where the tokenizer has none. None if nobody tells.
        """
        ...


def find_model(models: Sequence[ModelInfo], name: str) -> ModelInfo | None:
    """The model that answers to ``name``: its whole name, or its adapter's."""
    by_name = (info for info in models if info.name == name)
    return next(by_name, next((info for info in models if name and info.adapter == name), None))


def require_model(models: Sequence[ModelInfo], name: str) -> ModelInfo:
    """The model that answers to ``name``. Raises `UnknownModel`."""
    info = find_model(models, name)
    if info is None:
        raise UnknownModel(name, [model.name for model in models])
    return info


def check_capabilities(request: Request, info: ModelInfo) -> None:
    """Raises `InvalidRequest` with the field and the reason for what ``info`` cannot do."""
    can = info.capabilities
    if request.tools and request.tool_choice.mode != "none" and not can.tools:
        reason = can.why_not.get("tools") or "its chat template has no tool calls"
        raise InvalidRequest("tools", f"{request.model} does not call functions: {reason}")
    if request.response_format and not can.schema:
        reason = can.why_not.get("schema", "")
        problem = f"{request.model} cannot be held to a JSON schema"
        raise InvalidRequest("response_format", f"{problem}: {reason}" if reason else problem)
    _check_effort(request, can)
    sampling = request.sampling
    asks = sampling.logprobs is not None or sampling.prompt_logprobs is not None
    if asks and not can.logprobs:
        reason = can.why_not.get("logprobs", "")
        problem = f"{request.model} does not report log-probabilities"
        raise InvalidRequest("logprobs", f"{problem}: {reason}" if reason else problem)


def _check_effort(request: Request, can: Capabilities) -> None:
    effort = request.reasoning_effort
    if not effort or effort in can.reasoning_efforts:
        return
    if can.reasoning_efforts:
        known = ", ".join(can.reasoning_efforts)
        raise InvalidRequest("reasoning_effort", f"{effort!r} is none of {known}")
    if can.reasoning:
        problem = f"{request.model} reasons by its system prompt; it has no setting for the effort"
        raise InvalidRequest("reasoning_effort", problem)
    if effort != "none":
        problem = f"{request.model} does not reason before it answers"
        raise InvalidRequest("reasoning_effort", problem)
