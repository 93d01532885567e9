"""Adapters by name: a name points at one version, and may point at another one at any time.

A request resolves its name once and keeps that version to its end. May be used from any thread;
knows no engine.
"""

import threading

from playground.models.adapters import Adapter


class AdapterRegistry:
    """The adapters that requests may name, in the order of registration."""

    def __init__(self) -> None:
        self._adapters: dict[str, Adapter] = {}
        self._unlisted: set[str] = set()
        self._lock = threading.Lock()

    def register(self, adapter: Adapter, *, listed: bool = True) -> None:
        """Answer new requests to ``adapter.name`` with this version."""
        with self._lock:
            self._adapters[adapter.name] = adapter
            (self._unlisted.discard if listed else self._unlisted.add)(adapter.name)

    def unregister(self, name: str) -> Adapter | None:
        """Take a name away from new requests; running ones keep their version."""
        with self._lock:
            self._unlisted.discard(name)
            return self._adapters.pop(name, None)

    def all(self, *, unlisted: bool = False) -> tuple[Adapter, ...]:
        """The version behind each name, those not listed only on request."""
        with self._lock:
            return tuple(
                adapter
                for name, adapter in self._adapters.items()
                if unlisted or name not in self._unlisted
            )
