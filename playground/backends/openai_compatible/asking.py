"""Ask a server what it serves and what each model can do.

A list or a description says it where the server has one; where only a trial shows it, three
requests of a few tokens do: a forced call, a schema that no model would follow by itself,
log-probabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from playground.backends.openai_compatible.body import format_body
from playground.backends.openai_compatible.kinds import Capability
from playground.backends.openai_compatible.ollama import LOGPROBS_SINCE
from playground.backends.openai_compatible.server import OfferedModel
from playground.backends.openai_compatible.wire import Wire
from playground.errors import BackendBusy, BackendUnavailable, InvalidRequest, PlaygroundError
from playground.protocol import Capabilities, ResponseFormat
from playground.protocol.json_types import (
    Json,
    JsonObject,
    list_at,
    object_at,
    objects_at,
    parse_json,
    text_at,
)

MOST_MODELS = 32
"""Models offered of a server where the settings name none."""
UNKNOWN_WINDOW = 4096
TRIAL_TOKENS = 64
QUESTION: JsonObject = {"role": "user", "content": "Hello!"}
TRIAL_TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "note",
        "description": "Notes a word.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string", "enum": ["hello"]}},
            "required": ["word"],
        },
    },
}
TRIAL_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"greeted": {"type": "boolean"}},
    "required": ["greeted"],
    "additionalProperties": False,
}
TOLD: Mapping[Capability, str] = MappingProxyType(
    {"tools": "function_calling", "schema": "schema", "logprobs": "logprobs"}
)
"""What lists of models call a capability: Mistral's platform the first, a playground all."""
NOT_OFFERED = (500, 501)
"""What some servers answer to a field they do not know; 502 to 504 are of a server that is down."""
CAPABILITIES: tuple[Capability, ...] = ("tools", "schema", "logprobs")


@dataclass(frozen=True, slots=True)
class Served:
    """A model as its server tells of it. ``id`` is its name there, ``parent`` the id of the base of
    an adapter. ``can`` is what is known without a trial.
    """

    id: str
    name: str
    context_length: int
    parent: str = ""
    can: Mapping[Capability, bool] = field(default_factory=dict)
    why_not: Mapping[str, str] = field(default_factory=dict)
    reasoning: bool = False


async def list_models(wire: Wire) -> list[Served]:
    """The models to offer, as they are served now. Raises `BackendUnavailable` and the like."""
    if wire.server.kind.name == "ollama":
        return await _ollama_models(wire)
    listing = await _listing(wire)
    entries = {text_at(entry, "id"): entry for entry in objects_at(listing, "data")}
    entries.pop("", None)
    window = await _llama_cpp_window(wire) if wire.server.kind.name == "llama.cpp" else 0
    if not wire.server.models:
        return [_served(OfferedModel(id, id), entry, window) for id, entry in entries.items()][
            :MOST_MODELS
        ]
    offered = [_served(model, entries.get(model.id, {}), window) for model in wire.server.models]
    bases = {model.id for model in wire.server.models}
    adapters = [
        _served(OfferedModel(id, id), entry, window)
        for id, entry in entries.items()
        if id not in bases and text_at(entry, "parent") in bases
    ]
    return offered + adapters


async def _listing(wire: Wire) -> JsonObject:
    """The server's list; an empty one where it has none and the settings name the models."""
    try:
        return await wire.get(f"{wire.server.api}/models")
    except BackendUnavailable as error:
        if wire.server.models and error.status in (*NOT_OFFERED, 404, 405):
            return {}
        raise


async def capabilities_of(wire: Wire, model: Served) -> Capabilities:
    """What the model can do, tried where nothing says it. Raises `BackendUnavailable`,
    `BackendBusy`.
    """
    kind = wire.server.kind
    can = dict.fromkeys(CAPABILITIES, True) | dict(model.can)
    why_not = {**{str(name): why for name, why in kind.lacks.items()}, **model.why_not}
    can |= dict.fromkeys(kind.lacks, False)
    for name in CAPABILITIES:
        if name in kind.asks and name not in model.can and name not in kind.lacks:
            problem = await _tried(wire, model.id, name)
            can[name] = not problem
            if problem:
                why_not[name] = problem
    return Capabilities(
        tools=can["tools"],
        schema=can["schema"],
        logprobs=can["logprobs"],
        adapters=kind.adapters,
        reasoning=model.reasoning,
        enforces=kind.own_guarantee,
        why_not=why_not,
    )


async def _tried(wire: Wire, model: str, name: Capability) -> str:
    """Try it; empty if it works, otherwise why not."""
    kind = wire.server.kind
    scores: JsonObject = {"logprobs": True, "top_logprobs": 1}
    if kind.format_style == "together":
        scores = {"logprobs": 1}
    called: JsonObject = {"tools": [TRIAL_TOOL], "tool_choice": kind.forced_call}
    trials: dict[Capability, list[JsonObject]] = {
        # Some servers take forced calls and refuse those that the model may make.
        "tools": [called | {"tool_choice": "auto", "max_tokens": 1}, called],
        "schema": [format_body(ResponseFormat(TRIAL_SCHEMA, name="trial"), kind)],
        "logprobs": [scores | {"max_tokens": 1}],
    }
    choice: JsonObject = {}
    for trial in trials[name]:
        body: JsonObject = {"model": model, "messages": [QUESTION], "max_tokens": TRIAL_TOKENS}
        try:
            answer = await wire.post(f"{wire.server.api}/chat/completions", body | trial)
        except BackendBusy:
            raise
        except BackendUnavailable as error:
            if error.status not in NOT_OFFERED:
                raise
            return f"its server fails on it: {_without(error.message, wire)}"
        except InvalidRequest as error:
            return f"its server refuses it: {_without(error.problem, wire)}"
        except PlaygroundError as error:
            return f"its server refuses it: {error.message}"
        choice = next(iter(objects_at(answer, "choices")), {})
    return _verdict(name, choice)


def _without(problem: str, wire: Wire) -> str:
    """The problem without the server's alias, which the model's name begins with."""
    alias = wire.server.alias
    return problem.removeprefix(f"{alias}: ").removeprefix(f"backend {alias!r}: ")


def _verdict(name: Capability, choice: JsonObject) -> str:
    message = object_at(choice, "message")
    if name == "logprobs":
        given = choice.get("logprobs")
        return "its server leaves them out" if given is None or given == {} else ""
    if name == "tools":
        called = bool(list_at(message, "tool_calls"))
        return "" if called else "asked for a call, it answered without one"
    if text_at(choice, "finish_reason") == "length" and not text_at(message, "content"):
        return ""  # it reasons first; the answer itself is checked each time
    try:
        value: Json = parse_json(text_at(message, "content"))
    except ValueError:
        return "asked for JSON, it answered something else"
    fits = isinstance(value, dict) and isinstance(value.get("greeted"), bool)
    return "" if fits else "asked for JSON of a schema, it answered with other JSON"


def _served(model: OfferedModel, entry: JsonObject, window: int) -> Served:
    can: dict[Capability, bool] = {}
    why_not: dict[str, str] = {}
    told = object_at(entry, "capabilities")
    for name, theirs in TOLD.items():
        if isinstance(told.get(theirs), bool):
            can[name] = bool(told[theirs])
    for name in can:
        if not can[name]:
            why_not[name] = "its server says so"
    names = ("max_model_len", "context_length", "max_context_length", "context_window")
    lengths = [entry.get(name) for name in names]
    listed = next((length for length in lengths if isinstance(length, int) and length > 0), 0)
    return Served(
        model.id,
        model.name,
        model.context_length or listed or window or UNKNOWN_WINDOW,
        parent=text_at(entry, "parent"),
        can=can,
        why_not=why_not,
        reasoning=told.get("reasoning") is True,
    )


async def _llama_cpp_window(wire: Wire) -> int:
    """Tokens of context of one slot; 0 where the server has no such page."""
    try:
        properties = await wire.get(f"{wire.server.root}/props")
    except PlaygroundError:
        return 0
    length = object_at(properties, "default_generation_settings").get("n_ctx")
    return length if isinstance(length, int) else 0


async def _ollama_models(wire: Wire) -> list[Served]:
    root = wire.server.root
    offered = wire.server.models
    if not offered:
        listing = await wire.get(f"{root}/api/tags")
        ids = [text_at(entry, "name") for entry in objects_at(listing, "models")][:MOST_MODELS]
        offered = tuple(OfferedModel(id, id) for id in ids if id)
    version = text_at(await wire.get(f"{root}/api/version"), "version")
    return [await _ollama_model(wire, model, version) for model in offered]


async def _ollama_model(wire: Wire, model: OfferedModel, version: str) -> Served:
    shown = await wire.post(f"{wire.server.root}/api/show", {"model": model.id})
    told = [each for each in list_at(shown, "capabilities") if isinstance(each, str)]
    lengths = [
        value
        for name, value in object_at(shown, "model_info").items()
        if name.endswith(".context_length") and isinstance(value, int)
    ]
    has_logprobs = _version(version) >= LOGPROBS_SINCE
    why_not = {}
    if "tools" not in told:
        why_not["tools"] = "Ollama lists no tools among what the model can do"
    if not has_logprobs:
        since = ".".join(map(str, LOGPROBS_SINCE))
        why_not["logprobs"] = f"Ollama reports them since {since}; this is {version}"
    return Served(
        model.id,
        model.name,
        model.context_length or (lengths[0] if lengths else UNKNOWN_WINDOW),
        can={"tools": "tools" in told, "schema": True, "logprobs": has_logprobs},
        why_not=why_not,
        reasoning="thinking" in told,
    )


def _version(text: str) -> tuple[int, ...]:
    parts = text.partition("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isdecimal())
