"""Every error this project raises on purpose.

Knows no HTTP status and no widget: the API and the page each translate this tree in one place.

    PlaygroundError
    ├── InvalidRequest            a field of a request has a wrong value
    │   └── ContextOverflow       the prompt and its answer do not fit the model's window
    ├── UnknownModel              a request names a model that is not being served
    │   └── AdapterChanged        the name stands for another version than the one asked for
    ├── UnknownAdapter            the store has no such adapter or version
    ├── UnknownFile               nothing was uploaded under this id
    ├── UnknownJob                there is no such training job
    ├── Conflict                  what is asked does not go with the present state
    ├── Overloaded                the queue is full
    ├── RequestFailed             the engine could not finish this one request
    ├── EngineStopped             the engine is shutting down, or its thread died
    ├── ToolFailed                a tool could not give a result; the model reads why
    ├── InvalidSettings           a flag, an environment variable or playground.yaml is wrong
    ├── PortInUse                 another program listens there
    └── ModelLoadError            a model cannot be loaded
        ├── NoSuchModel           no such name, folder or hub repository
        ├── GatedModel            the hub wants a licence accepted or a token
        ├── NoNetwork             the hub cannot be reached and the files are not here
        ├── NotEnoughMemory       said before loading, with what would fit
        ├── BrokenWeights         missing, truncated or mismatched safetensors
        ├── UnsupportedModel      an architecture or file format that is not loaded here
        ├── BrokenAdapter         an adapter folder that cannot be read or is no plain LoRA
        └── WrongBase             an adapter made for another base model
"""

from collections.abc import Sequence


class PlaygroundError(Exception):
    """Base of the tree. ``code`` is a stable snake_case word that clients may test for."""

    code = "error"

    @property
    def message(self) -> str:
        """The sentence a person reads."""
        return str(self)


class InvalidRequest(PlaygroundError):
    """A field of a request has a wrong value; ``field`` names it as the API spells it."""

    code = "invalid_value"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ContextOverflow(InvalidRequest):
    """The prompt leaves no room for an answer in the model's window."""

    code = "context_length_exceeded"

    def __init__(self, prompt_tokens: int, context_length: int, *, field: str = "messages") -> None:
        super().__init__(
            field,
            f"the prompt has {prompt_tokens} tokens and the model's context holds "
            f"{context_length}, the answer included; shorten the conversation",
        )
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class UnknownModel(PlaygroundError):
    """A request names a model that is not being served."""

    code = "model_not_found"

    def __init__(self, name: str, served: Sequence[str]) -> None:
        super().__init__(f"model {name!r} is not served here; served: {', '.join(served)}")
        self.name = name
        self.served = tuple(served)


class AdapterChanged(UnknownModel):
    """The request wants a version of an adapter, and its name stands for another one by now."""

    code = "adapter_changed"

    def __init__(self, name: str, wanted: str, now: str) -> None:
        PlaygroundError.__init__(
            self, f"model {name!r} is version {now} by now, and {wanted} was asked for"
        )
        self.name = name
        self.served = (now,)


class UnknownAdapter(PlaygroundError):
    """The store has no adapter, or no version, of this name."""

    code = "adapter_not_found"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no adapter {name!r} in the store; known: {', '.join(known) or 'none'}")
        self.name = name


class UnknownFile(PlaygroundError):
    """Nothing was uploaded under this id."""

    code = "file_not_found"

    def __init__(self, file: str) -> None:
        super().__init__(f"no file {file!r} was uploaded here")


class UnknownJob(PlaygroundError):
    """There is no training job of this id."""

    code = "job_not_found"

    def __init__(self, job: str) -> None:
        super().__init__(f"no training job {job!r}")
        self.job = job


class Conflict(PlaygroundError):
    """What is asked does not go with the present state of a job or an adapter."""

    code = "conflict"


class Overloaded(PlaygroundError):
    """The waiting queue is full; the same request may succeed in a moment."""

    code = "overloaded"

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests are already waiting; try again in a moment")
        self.waiting = waiting


class RequestFailed(PlaygroundError):
    """The engine could not finish this one request; the others go on."""

    code = "request_failed"


class EngineStopped(PlaygroundError):
    """The engine is shutting down, or its thread died; no request is taken any more."""

    code = "engine_stopped"


class ToolFailed(PlaygroundError):
    """A tool could not give a result; the sentence is the result that the model reads."""

    code = "tool_failed"


class InvalidSettings(PlaygroundError):
    """A flag, an environment variable or a line of playground.yaml is wrong."""

    code = "invalid_settings"


class PortInUse(PlaygroundError):
    """The address that was asked for cannot be listened on; another program has it, mostly."""

    code = "port_in_use"

    def __init__(self, host: str, port: int, reason: str = "Address already in use") -> None:
        super().__init__(
            f"cannot listen on port {port} of {host}: {reason.lower()}; choose another with --port "
            "(0 takes any free one)"
        )
        self.host = host
        self.port = port


class ModelLoadError(PlaygroundError):
    """A model cannot be loaded; each subclass says why and what to do about it."""

    code = "model_load_failed"


class NoSuchModel(ModelLoadError):
    """No catalogue name, local folder or hub repository answers to this name."""

    code = "no_such_model"


class GatedModel(ModelLoadError):
    """The hub wants a licence accepted, or a token that may read the repository."""

    code = "gated_model"


class NoNetwork(ModelLoadError):
    """The hub cannot be reached and the files are not on this disk."""

    code = "no_network"


class NotEnoughMemory(ModelLoadError):
    """The model does not fit; the message names what would."""

    code = "not_enough_memory"


class BrokenWeights(ModelLoadError):
    """A weights file is missing, truncated, or does not match its index or the config."""

    code = "broken_weights"


class UnsupportedModel(ModelLoadError):
    """An architecture or weights format that is not loaded here."""

    code = "unsupported_model"


class BrokenAdapter(ModelLoadError):
    """An adapter's files are missing, damaged, pickled, or of a kind that cannot be served."""

    code = "broken_adapter"


class WrongBase(ModelLoadError):
    """An adapter was made for another base model than the one that is resident."""

    code = "wrong_base"
