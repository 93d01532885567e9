"""Requests answered by other servers: vLLM, llama.cpp's, Ollama, Together, Mistral's platform,
another playground, anything that speaks OpenAI's API.

What a server can do is asked of it (`asking`), what its dialect is called is data (`kinds`). Knows
no engine and no page.
"""

from playground.backends.openai_compatible.backend import RemoteBackend
from playground.backends.openai_compatible.opening import AnyRemote, remote_of
from playground.backends.openai_compatible.replicas import Replica, ReplicatedBackend
from playground.backends.openai_compatible.server import RemoteServer, server_of

__all__ = [
    "AnyRemote",
    "RemoteBackend",
    "RemoteServer",
    "Replica",
    "ReplicatedBackend",
    "remote_of",
    "server_of",
]
