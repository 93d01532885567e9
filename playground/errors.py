"""Every error that this project raises on purpose.

``code`` identifies an error to clients; ``kind`` says how to report it: `playground.api.errors`
maps kinds to HTTP statuses, `playground.ui.components.errors` to titles of messages on the page. A
new error is a class here and its line in this tree, which a test compares with the classes.

    PlaygroundError
    ├── InvalidRequest        A field of a request has a wrong value.
    │   └── ContextOverflow   Prompt and answer do not fit in the model's context window.
    ├── Unauthorized          A request does not carry the API key.
    ├── Forbidden             Whoever asks may not do this.
    │   ├── LinkClosed        The link to a demo is forged, expired, revoked or used up.
    │   └── SignInRefused     A provider, or what it says of somebody, does not let them in.
    ├── ProviderUnavailable   The provider that signs people in cannot be reached.
    ├── UnknownModel          A request names a model that is not served.
    │   └── AdapterChanged    The adapter's name now points at another version.
    ├── UnknownAdapter        The store has no adapter, or no version, of this name.
    ├── UnknownFile           No file was uploaded under this id.
    ├── UnknownExport         There is no export of this name.
    ├── UnknownAccount        There is no account of this name.
    ├── UnknownKey            There is no API key of this id.
    ├── UnknownLink           There is no link to a demo of this id.
    ├── UnknownJob            There is no training job with this id.
    ├── UnknownSweep          There is no sweep with this id.
    ├── UnknownBatch          There is no batch of this id.
    ├── UnknownCompletion     No chat completion of this id is stored, or none any more.
    ├── UnknownResponse       No response of this id is stored, or none any more.
    ├── UnknownPrompt         No prompt of this name or id is stored, or it has no such version.
    ├── UnknownConversation   No conversation, or none of its items, has this id.
    ├── Conflict              The operation is not allowed in the current state.
    ├── Overloaded            The queue is full; the same request may succeed in a moment.
    ├── LimitReached          A client has had its share; the message says when there is more.
    │   └── BudgetSpent       A budget in USD is used up; the message says when it is renewed.
    ├── RequestFailed         The engine could not finish this request; others are not affected.
    ├── EngineStopped         The engine is shutting down, or its thread died.
    ├── BackendUnavailable    A remote backend cannot be reached, or does not answer as it should.
    ├── BackendBusy           A remote backend takes no more requests for now.
    ├── ModelLoading          The model is not loaded yet; the same request will do in a moment.
    ├── ToolFailed            A tool failed; the model gets the message as its result.
    ├── InvalidSettings       A setting, a recipe or an input file is wrong.
    ├── NoSpace               The disk has no room for the files that are to be written.
    ├── DatabaseUnavailable   The database is locked, read-only, damaged or cannot be reached.
    ├── PortInUse             The server cannot listen there: another program does, mostly.
    └── ModelLoadError        A model or adapter cannot be loaded; the message says why.
        ├── NoSuchModel       There is no catalogue entry, folder or hub repository of this name.
        ├── GatedModel        The hub wants its licence accepted, or an authorized token.
        ├── NoNetwork         The hub cannot be reached and the files are not on this disk.
        ├── NotEnoughMemory   The model does not fit in memory; the message says what would.
        ├── BrokenWeights     A weights file is missing, truncated or does not match the config.
        ├── UnsupportedModel  The architecture or weights format is not supported.
        ├── BrokenAdapter     An adapter's files are missing, damaged or of an unsupported kind.
        └── WrongBase         An adapter was trained on another base model.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

Kind = Literal[
    "invalid",
    "unauthorized",
    "forbidden",
    "not_found",
    "conflict",
    "overloaded",
    "unavailable",
    "failed",
]
"""How a face reports an error: as a HTTP status, as the title of a message on the page."""


class PlaygroundError(Exception):
    """Base of the tree.

    ``code`` is a stable snake_case word that clients may test for; ``field`` the part of a request
    that is to blame, as the API spells it.
    """

    kind: ClassVar[Kind] = "failed"
    code = "error"
    field: str | None = None

    @property
    def message(self) -> str:
        """The sentence a person reads."""
        return str(self)


class InvalidRequest(PlaygroundError):
    """A field of a request has a wrong value."""

    kind = "invalid"
    code = "invalid_value"
    field: str

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    @property
    def message(self) -> str:
        """The sentence a person reads; a face may have given ``field`` the name it has there."""
        return f"{self.field}: {self.problem}"


class ContextOverflow(InvalidRequest):
    """Prompt and answer do not fit in the model's context window.

    ``max_tokens`` is the token limit that was asked for, where that is what does not fit. The words
    are OpenAI's, by which clients recognize the error.
    """

    code = "context_length_exceeded"

    def __init__(
        self,
        prompt_tokens: int,
        context_length: int,
        *,
        field: str = "messages",
        max_tokens: int | None = None,
    ) -> None:
        window = f"this model's maximum context length is {context_length} tokens"
        super().__init__(
            field,
            f"the prompt is too long: {window}, the answer included, and the prompt has "
            f"{prompt_tokens}; shorten it"
            if max_tokens is None
            else f"{window}, and {prompt_tokens + max_tokens} were requested: {prompt_tokens} in "
            f"the prompt, {max_tokens} for the answer",
        )
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class Unauthorized(PlaygroundError):
    """A request does not carry the API key."""

    kind = "unauthorized"
    code = "invalid_api_key"

    def __init__(self, problem: str = "send the API key as 'Authorization: Bearer <key>'") -> None:
        super().__init__(problem)


class Forbidden(PlaygroundError):
    """Whoever asks may not do this."""

    kind = "forbidden"
    code = "forbidden"


class LinkClosed(Forbidden):
    """The link to a demo is forged, expired, revoked or used up."""

    code = "link_closed"


class SignInRefused(Forbidden):
    """A provider, or what it says of somebody, does not let them in."""

    code = "sign_in_refused"


class ProviderUnavailable(PlaygroundError):
    """The provider that signs people in cannot be reached."""

    kind = "unavailable"
    code = "provider_unavailable"


class UnknownModel(PlaygroundError):
    """A request names a model that is not served."""

    kind: ClassVar[Kind] = "not_found"
    field = "model"
    code = "model_not_found"

    def __init__(self, name: str, served: Sequence[str]) -> None:
        known = f"; served: {', '.join(served)}" if served else ""
        super().__init__(f"model {name!r} is not served here{known}")
        self.name = name
        self.served = tuple(served)


class AdapterChanged(UnknownModel):
    """The adapter's name now points at another version."""

    kind = "conflict"
    code = "adapter_changed"

    def __init__(self, name: str, wanted: str, now: str) -> None:
        PlaygroundError.__init__(
            self, f"model {name!r} is now version {now}; version {wanted} was requested"
        )
        self.name = name
        self.served = (now,)


class UnknownAdapter(PlaygroundError):
    """The store has no adapter, or no version, of this name."""

    kind = "not_found"
    code = "adapter_not_found"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no adapter {name!r} in the store; known: {', '.join(known) or 'none'}")
        self.name = name


class UnknownFile(PlaygroundError):
    """No file was uploaded under this id."""

    kind = "not_found"
    code = "file_not_found"

    def __init__(self, file: str) -> None:
        super().__init__(f"no file {file!r} was uploaded here")


class UnknownExport(PlaygroundError):
    """There is no export of this name."""

    kind = "not_found"
    code = "export_not_found"

    def __init__(self, export: str) -> None:
        super().__init__(f"no export {export!r}")


class UnknownAccount(PlaygroundError):
    """There is no account of this name."""

    kind = "not_found"
    code = "account_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no account {name!r}")


class UnknownKey(PlaygroundError):
    """There is no API key of this id."""

    kind = "not_found"
    code = "key_not_found"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no API key {key!r}")


class UnknownLink(PlaygroundError):
    """There is no link to a demo of this id."""

    kind = "not_found"
    code = "link_not_found"

    def __init__(self, link: str) -> None:
        super().__init__(f"there is no link {link!r}")


class UnknownJob(PlaygroundError):
    """There is no training job with this id."""

    kind = "not_found"
    code = "job_not_found"

    def __init__(self, job: str) -> None:
        super().__init__(f"no training job {job!r}")
        self.job = job


class UnknownSweep(PlaygroundError):
    """There is no sweep with this id."""

    kind = "not_found"
    code = "sweep_not_found"

    def __init__(self, sweep: str) -> None:
        super().__init__(f"no sweep {sweep!r}")
        self.sweep = sweep


class UnknownBatch(PlaygroundError):
    """There is no batch of this id."""

    kind = "not_found"
    code = "batch_not_found"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no batch {batch_id!r}")


class UnknownCompletion(PlaygroundError):
    """No chat completion of this id is stored, or none any more."""

    kind = "not_found"
    code = "completion_not_found"

    def __init__(self, completion_id: str) -> None:
        super().__init__(f"no chat completion {completion_id!r} is stored")


class UnknownResponse(PlaygroundError):
    """No response of this id is stored, or none any more."""

    kind = "not_found"
    code = "response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id '{response_id}' not found.")
        self.response_id = response_id


class UnknownPrompt(PlaygroundError):
    """No prompt of this name or id is stored, or it has no such version."""

    kind = "not_found"

    def __init__(self, problem: str, *, is_version: bool = False) -> None:
        super().__init__(problem)
        self.is_version = is_version
        self.code = "prompt_version_not_found" if is_version else "prompt_not_found"


class UnknownConversation(PlaygroundError):
    """No conversation, or none of its items, has this id."""

    kind = "not_found"
    code = "conversation_not_found"

    def __init__(self, conversation_id: str, item_id: str = "") -> None:
        item = f"Item with id '{item_id}' not found in c" if item_id else "C"
        found = "" if item_id else " not found"
        super().__init__(f"{item}onversation with id '{conversation_id}'{found}.")
        self.conversation_id = conversation_id


class Conflict(PlaygroundError):
    """The operation is not allowed in the current state."""

    kind = "conflict"
    code = "conflict"


class Overloaded(PlaygroundError):
    """The queue is full; the same request may succeed in a moment."""

    kind = "overloaded"
    code = "overloaded"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests are already waiting; try again in a moment")
        self.waiting = waiting


class LimitReached(PlaygroundError):
    """A client has had its share; the message says when there is more.

    ``retry_after_s`` is when the same request may succeed, in seconds from now.
    """

    kind = "overloaded"
    code = "rate_limit_exceeded"

    def __init__(self, problem: str, retry_after_s: float) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class BudgetSpent(LimitReached):
    """A budget in USD is used up; the message says when it is renewed."""

    code = "insufficient_quota"  # OpenAI's


class RequestFailed(PlaygroundError):
    """The engine could not finish this request; others are not affected."""

    code = "request_failed"


class EngineStopped(PlaygroundError):
    """The engine is shutting down, or its thread died."""

    kind = "unavailable"
    code = "engine_stopped"


class BackendUnavailable(PlaygroundError):
    """A remote backend cannot be reached, or does not answer as it should.

    ``status`` is the HTTP status that it answered with, 0 for none.
    """

    kind = "unavailable"
    code = "backend_unavailable"

    def __init__(self, alias: str, problem: str, status: int = 0) -> None:
        super().__init__(f"backend {alias!r}: {problem}")
        self.alias = alias
        self.status = status


class BackendBusy(PlaygroundError):
    """A remote backend takes no more requests for now."""

    kind = "overloaded"
    code = "backend_busy"

    def __init__(self, alias: str, problem: str) -> None:
        super().__init__(f"backend {alias!r}: {problem}")
        self.alias = alias


class ModelLoading(PlaygroundError):
    """The model is not loaded yet; the same request will do in a moment."""

    kind = "unavailable"
    code = "model_loading"

    def __init__(self, model: str) -> None:
        super().__init__(f"{model} is still loading; try again in a moment")
        self.model = model


class ToolFailed(PlaygroundError):
    """A tool failed; the model gets the message as its result."""

    code = "tool_failed"


class InvalidSettings(PlaygroundError):
    """A setting, a recipe or an input file is wrong."""

    kind = "invalid"
    code = "invalid_settings"


class NoSpace(PlaygroundError):
    """The disk has no room for the files that are to be written."""

    code = "no_space"


class DatabaseUnavailable(PlaygroundError):
    """The database is locked, read-only, damaged or cannot be reached."""

    kind = "unavailable"
    code = "database_unavailable"


class PortInUse(PlaygroundError):
    """The server cannot listen there: another program does, mostly."""

    code = "port_in_use"

    def __init__(self, host: str, port: int, reason: str = "Address already in use") -> None:
        super().__init__(
            f"cannot listen on port {port} of {host}: {reason.lower()}; choose another with --port "
            "(0 takes any free one)"
        )
        self.host = host
        self.port = port


class ModelLoadError(PlaygroundError):
    """A model or adapter cannot be loaded; the message says why."""

    kind = "invalid"
    code = "model_load_failed"


class NoSuchModel(ModelLoadError):
    """There is no catalogue entry, folder or hub repository of this name."""

    code = "no_such_model"


class GatedModel(ModelLoadError):
    """The hub wants its licence accepted, or an authorized token."""

    code = "gated_model"


class NoNetwork(ModelLoadError):
    """The hub cannot be reached and the files are not on this disk."""

    code = "no_network"


class NotEnoughMemory(ModelLoadError):
    """The model does not fit in memory; the message says what would."""

    code = "not_enough_memory"


class BrokenWeights(ModelLoadError):
    """A weights file is missing, truncated or does not match the config."""

    code = "broken_weights"


class UnsupportedModel(ModelLoadError):
    """The architecture or weights format is not supported."""

    code = "unsupported_model"


class BrokenAdapter(ModelLoadError):
    """An adapter's files are missing, damaged or of an unsupported kind."""

    code = "broken_adapter"


class WrongBase(ModelLoadError):
    """An adapter was trained on another base model."""

    code = "wrong_base"
