"""Models of another server as `ModelInfo`s. Knows no HTTP."""

from playground.backends.openai_compatible.asking import CAPABILITIES, UNKNOWN_WINDOW, Served
from playground.backends.openai_compatible.server import RemoteServer
from playground.protocol import Capabilities, ModelInfo


def described(
    server: RemoteServer, served: Served, can: Capabilities | None, problem: str
) -> ModelInfo:
    """A model as requests may name it; ``problem`` is why the server was not reached last."""
    name = f"{server.alias}/{served.name}"
    about = f"{served.id} of {server.kind.title}."
    if served.parent:
        about = f"Adapter {served.id} on {served.parent} of {server.kind.title}."
    return ModelInfo(
        name=name,
        context_length=served.context_length,
        description=f"{about} Not reached: {problem}" if problem else about,
        adapter=name if served.parent else "",
        capabilities=can or _unknown(server, problem),
    )


def not_asked_yet(server: RemoteServer) -> tuple[Served, ...]:
    """The models that the settings name, before the server has answered."""
    return tuple(
        Served(model.id, model.name, model.context_length or UNKNOWN_WINDOW)
        for model in server.models
    )


def _unknown(server: RemoteServer, problem: str) -> Capabilities:
    why = problem or f"{server.alias} has not been asked yet"
    reasons: dict[str, str] = dict.fromkeys(CAPABILITIES, why)
    return Capabilities(tools=False, schema=False, logprobs=False, enforces=False, why_not=reasons)
