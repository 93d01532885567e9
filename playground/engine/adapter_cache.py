"""Which adapters are served under which names, and which of them are resident.

A name points at one version; a request resolves it once and keeps that version to its end. A
version takes a slot when a request needs it, and leaves it when another needs the slot and nobody
uses it. The engine's thread alone places and frees; names are read and written from any thread.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from playground.engine.lora import BASE, AdapterBank
from playground.models.adapters import Adapter


@dataclass(eq=False, slots=True)
class Resident:
    """A version in use: ``users`` running sequences; ``slot`` once it is placed."""

    adapter: Adapter
    users: int = 0
    slot: int = BASE


class AdapterCache:
    """Names, versions and slots."""

    def __init__(self, bank: AdapterBank) -> None:
        self._bank = bank
        self._names: dict[str, Adapter] = {}
        self._unlisted: set[str] = set()
        self._names_lock = threading.Lock()
        self._placed: OrderedDict[str, Resident] = OrderedDict()  # by content hash, by last use

    def publish(self, adapter: Adapter, *, listed: bool = True) -> None:
        """Answer new requests to ``adapter.name`` with this version."""
        with self._names_lock:
            self._names[adapter.name] = adapter
            (self._unlisted.discard if listed else self._unlisted.add)(adapter.name)

    def withdraw(self, name: str) -> Adapter | None:
        """Take a name away from new requests; running ones end with what they have."""
        with self._names_lock:
            return self._names.pop(name, None)

    def find(self, name: str) -> Adapter | None:
        """The version that the name stands for now."""
        with self._names_lock:
            return self._names.get(name)

    def published(self, *, unlisted: bool = False) -> tuple[Adapter, ...]:
        """What every name stands for now, in the order of publication."""
        with self._names_lock:
            return tuple(
                adapter
                for name, adapter in self._names.items()
                if unlisted or name not in self._unlisted
            )

    def acquire(self, adapter: Adapter) -> int | None:
        """The slot of a version, placing it if need be; None while all slots are in use."""
        resident = self._placed.get(adapter.content_hash)
        if resident is None:
            slot = self._free_slot()
            if slot is None:
                return None
            self._bank.put(slot, adapter)
            resident = self._placed[adapter.content_hash] = Resident(adapter, slot=slot)
        self._placed.move_to_end(adapter.content_hash)
        resident.users += 1
        return resident.slot

    def release(self, adapter: Adapter) -> None:
        """One sequence less uses this version."""
        self._placed[adapter.content_hash].users -= 1

    def _free_slot(self) -> int | None:
        taken = {resident.slot for resident in self._placed.values()}
        free = [slot for slot in range(self._bank.slots) if slot not in taken]
        if free:
            return free[0]
        for key, resident in self._placed.items():
            if not resident.users:
                del self._placed[key]
                return resident.slot
        return None
