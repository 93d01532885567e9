"""Which adapter versions are resident, and in which slot of the bank.

A version takes a slot when a request needs it, and leaves it when another version needs the slot
and no running sequence uses it. Lives on the engine's thread. Knows no names: a name is resolved
to a version by the backend.
"""

from collections import OrderedDict
from dataclasses import dataclass

from playground.engine.lora import AdapterBank
from playground.models.adapters import Adapter


@dataclass(eq=False, slots=True)
class CachedAdapter:
    """A resident version: its slot, and how many running sequences use it."""

    slot: int
    users: int = 0


class AdapterCache:
    """Places versions in slots by content hash; the least recently used unused one is evicted."""

    def __init__(self, bank: AdapterBank) -> None:
        self._bank = bank
        self._resident: OrderedDict[str, CachedAdapter] = OrderedDict()  # by last use
        self.loads = 0

    def __len__(self) -> int:
        """How many versions are resident."""
        return len(self._resident)

    def acquire(self, adapter: Adapter) -> int | None:
        """Return the slot of a version, placing it if need be; None while all are in use."""
        resident = self._resident.get(adapter.content_hash)
        if resident is None:
            slot = self._free_slot()
            if slot is None:
                return None
            self._bank.put(slot, adapter)
            self.loads += 1
            resident = self._resident[adapter.content_hash] = CachedAdapter(slot)
        self._resident.move_to_end(adapter.content_hash)
        resident.users += 1
        return resident.slot

    def release(self, adapter: Adapter) -> None:
        """Count one running sequence less for this version."""
        self._resident[adapter.content_hash].users -= 1

    def _free_slot(self) -> int | None:
        taken = {resident.slot for resident in self._resident.values()}
        free = [slot for slot in range(self._bank.slots) if slot not in taken]
        if free:
            return free[0]
        for content_hash, resident in self._resident.items():
            if not resident.users:
                del self._resident[content_hash]
                return resident.slot
        return None
