"""Adapters on disk: every version is kept, and one of each name is promoted.

    adapters/NAME/v1/            PEFT's files and adapter_card.json; never changed
    adapters/NAME/v2/
    adapters/NAME/promoted.json  which version the name points at, and those before it

Knows folders; serving them is the engine's task. Writes are atomic: a version is whole or absent.
"""

import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from playground.errors import BrokenAdapter, Conflict, UnknownAdapter
from playground.files import atomic_folder
from playground.models.adapters import (
    CARD_FILE,
    CONFIG_FILE,
    TRAINED_PROMPTS_FILE,
    WEIGHTS_FILE,
    Adapter,
    name_problem,
    read_adapter,
)
from playground.store.json_files import StoredObject, read_json_object, write_json_object
from playground.store.report_card_files import REPORT_CARD_FILES

PROMOTED_FILE = "promoted.json"
VERSION = re.compile(r"v[1-9]\d*")
KEPT_FILES = (
    CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, TRAINED_PROMPTS_FILE, *REPORT_CARD_FILES.values(),
)  # fmt: skip
PUBLISH_ATTEMPTS = 10
"""Another process may publish the same number at the same time."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an adapter in the store, as it was when it was read.

    ``card`` is its ``adapter_card.json``, ``verdict`` that of its report card, empty without one.
    """

    name: str
    version: str
    folder: Path
    card: Mapping[str, object]
    promoted: bool
    verdict: str = ""

    @property
    def content_hash(self) -> str:
        """Hash of configuration and weights."""
        return str(self.card.get("content_hash", ""))


class AdapterStore:
    """The adapters under one folder. May be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """All names that have a version."""
        folders = sorted(self.folder.glob("*/"))
        return [folder.name for folder in folders if _is_name(folder.name) and _numbers(folder)]

    def versions(self, name: str) -> list[Version]:
        """All versions of a name, the oldest first. Raises `UnknownAdapter` if there is none."""
        numbers = _numbers(self.folder / name) if _is_name(name) else []
        if not numbers:
            raise UnknownAdapter(name, self.names())
        promoted = self._state(name)["promoted"]
        return [self._read(name, f"v{number}", promoted) for number in numbers]

    def find(self, name: str, version: str | None = None) -> Version:
        """Return a version, or the promoted one, or the latest. ``name`` may be ``NAME/VERSION``.

        Raises `UnknownAdapter`.
        """
        name, _, in_name = name.partition("/")
        versions = self.versions(name)
        wanted = version or in_name or self._state(name)["promoted"]
        if not wanted:
            return versions[-1]
        match = next((stored for stored in versions if stored.version == wanted), None)
        if match is None:
            raise UnknownAdapter(f"{name}/{wanted}", [f"{name}/{v.version}" for v in versions])
        return match

    def promoted(self) -> list[Version]:
        """The promoted version of every name that has one."""
        return [
            version for name in self.names() for version in self.versions(name) if version.promoted
        ]

    def publish(
        self, source: Path, name: str, facts: Mapping[str, object] | None = None
    ) -> Version:
        """Copy the adapter in ``source`` in as the next version of ``name``, not promoted yet.

        ``facts`` are put into its card. Raises what `read_adapter` raises.
        """
        if problem := name_problem(name):
            raise BrokenAdapter(problem)
        adapter = read_adapter(source, name)
        card = _card_of(adapter) | dict(facts or {})
        with self._lock:
            for _ in range(PUBLISH_ATTEMPTS):
                version = f"v{max(_numbers(self.folder / name), default=0) + 1}"
                added = {"name": name, "version": version, "content_hash": adapter.content_hash}
                try:
                    with atomic_folder(self.folder / name / version) as folder:
                        for file in KEPT_FILES:
                            if (source / file).is_file():
                                shutil.copyfile(source / file, folder / file)
                        write_json_object(folder / CARD_FILE, card | added)
                except OSError:
                    if (self.folder / name / version).exists():
                        continue
                    raise
                return self.find(name, version)
        raise Conflict(f"other processes are publishing versions of {name}; try again")

    def promote(self, name: str, version: str) -> Version:
        """Point the name at this version."""
        with self._lock:
            self.find(name, version)
            state = self._state(name)
            if state["promoted"] != version:
                before = [earlier for earlier in state["before"] if earlier != version]
                if state["promoted"]:
                    before.append(state["promoted"])
                self._write_state(name, version, before)
        return self.find(name, version)

    def roll_back(self, name: str) -> Version:
        """Point the name at the version promoted before. Raises `Conflict` if there is none."""
        with self._lock:
            versions = {stored.version for stored in self.versions(name)}
            before = [earlier for earlier in self._state(name)["before"] if earlier in versions]
            if not before:
                raise Conflict(f"{name} has no version that was promoted before")
            self._write_state(name, before[-1], before[:-1])
        return self.find(name, before[-1])

    def retire(self, name: str) -> None:
        """Promote no version of the name any more; its versions stay."""
        with self._lock:
            self.versions(name)
            state = self._state(name)
            before = [*state["before"], *([state["promoted"]] if state["promoted"] else [])]
            self._write_state(name, None, before)

    def delete(self, name: str, version: str) -> None:
        """Remove a version's files. Raises `Conflict` for the promoted one."""
        with self._lock:
            stored = self.find(name, version)
            if stored.promoted:
                raise Conflict(f"{name}/{version} is promoted; retire it or roll back first")
            hidden = stored.folder.with_name(f".{version}.deleted")
            stored.folder.rename(hidden)
            shutil.rmtree(hidden)
            if not _numbers(self.folder / name):
                shutil.rmtree(self.folder / name)

    def _read(self, name: str, version: str, promoted: str | None) -> Version:
        folder = self.folder / name / version
        verdict = read_json_object(folder / REPORT_CARD_FILES["json"]).get("verdict", "")
        card = read_json_object(folder / CARD_FILE)
        return Version(name, version, folder, card, version == promoted, str(verdict))

    def _state(self, name: str) -> "_Promotions":
        body = read_json_object(self.folder / name / PROMOTED_FILE) if _is_name(name) else {}
        promoted, before = body.get("promoted"), body.get("before", [])
        return {
            "promoted": promoted if isinstance(promoted, str) else None,
            "before": list(map(str, before)) if isinstance(before, list) else [],
        }

    def _write_state(self, name: str, promoted: str | None, before: list[str]) -> None:
        state = {"promoted": promoted, "before": before}
        write_json_object(self.folder / name / PROMOTED_FILE, state)


class _Promotions(TypedDict):
    """The version that a name points at, and those that it pointed at before, the latest last."""

    promoted: str | None
    before: list[str]


def _is_name(name: str) -> bool:
    return name_problem(name) is None


def _numbers(folder: Path) -> list[int]:
    return sorted(
        int(each.name[1:])
        for each in folder.glob("v*")
        if VERSION.fullmatch(each.name) and (each / CONFIG_FILE).is_file()
    )


def _card_of(adapter: Adapter) -> StoredObject:
    """Return the card it came with, or one made of the configuration of an imported adapter."""
    imported: StoredObject = {
        "base": adapter.config.get("base_model_name_or_path"),
        "origin": "imported",
        "recipe": {
            "lora_r": adapter.config.get("r"),
            "lora_alpha": adapter.config.get("lora_alpha"),
            "target_modules": adapter.config.get("target_modules"),
        },
        "data": {},
        "metrics": {},
        "license": "",
    }
    return dict(adapter.card) or imported
