"""Opens what a backend's settings name: one server, or several as replicas. Knows no HTTP."""

from dataclasses import replace

from playground.backends.openai_compatible.backend import RemoteBackend
from playground.backends.openai_compatible.io_loop import IoLoop
from playground.backends.openai_compatible.replicas import Replica, ReplicatedBackend
from playground.backends.openai_compatible.server import server_of
from playground.settings import BackendSettings

AnyRemote = RemoteBackend | ReplicatedBackend


def remote_of(settings: BackendSettings, io: IoLoop) -> AnyRemote:
    """The backend of the settings; it is started and closed by whoever asks for it. Raises
    `InvalidSettings` for a key that is not there.

    Of several servers each is tried once: the next one is asked in place of a second try.
    """
    if not settings.replicas:
        return RemoteBackend(server_of(settings), io)
    replicas = [
        Replica(RemoteBackend(replace(server_of(settings, each.url), retries=0), io), each.weight)
        for each in settings.replicas
    ]
    return ReplicatedBackend(replicas, settings.retries)
