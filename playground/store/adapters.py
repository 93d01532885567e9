"""Adapters as products: every version kept, one of each name promoted.

    adapters/NAME/v1/            PEFT's files and adapter_card.json; never changed
    adapters/NAME/v2/
    adapters/NAME/promoted.json  which version the name stands for, and those before it

Knows folders; what is served is the engine's business. Writes are atomic: a version is whole or
absent.
"""

import json
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.errors import BrokenAdapter, Conflict, UnknownAdapter
from playground.models.adapters import (
    CARD_FILE,
    CONFIG_FILE,
    NAME,
    WEIGHTS_FILE,
    Adapter,
    read_adapter,
)

PROMOTED_FILE = "promoted.json"
VERSION = re.compile(r"v[1-9]\d*")
KEPT = (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, "report-card.json", "report-card.md")
KEPT_PAGE = "report-card.html"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an adapter as it lies in the store."""

    name: str
    version: str
    folder: Path
    card: Mapping[str, Any]
    promoted: bool

    @property
    def content_hash(self) -> str:
        """Of configuration and weights."""
        return str(self.card.get("content_hash", ""))


class AdapterStore:
    """The adapters under one folder. May be used from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """All names that have a version."""
        folders = sorted(self.folder.glob("*/"))
        return [each.name for each in folders if NAME.fullmatch(each.name) and _numbers(each)]

    def versions(self, name: str) -> list[Version]:
        """All versions of a name, the oldest first. Raises `UnknownAdapter` if there is none."""
        numbers = _numbers(self.folder / name) if NAME.fullmatch(name) else []
        if not numbers:
            raise UnknownAdapter(name, self.names())
        served = self._promoted(name)
        return [self._read(name, f"v{number}", served) for number in numbers]

    def find(self, name: str, version: str | None = None) -> Version:
        """A version, or the promoted one, or the latest. ``name`` may be ``NAME/VERSION``.

        Raises `UnknownAdapter`.
        """
        name, _, inside = name.partition("/")
        wanted = version or inside or self._promoted(name)
        found = self.versions(name)
        if not wanted:
            return found[-1]
        match = next((each for each in found if each.version == wanted), None)
        if match is None:
            raise UnknownAdapter(f"{name}/{wanted}", [f"{name}/{v.version}" for v in found])
        return match

    def promoted(self) -> list[Version]:
        """What every name stands for now."""
        return [
            version for name in self.names() for version in self.versions(name) if version.promoted
        ]

    def publish(self, source: Path, name: str, facts: Mapping[str, Any] | None = None) -> Version:
        """Copy the adapter in ``source`` in as the next version of ``name``, not promoted yet.

        ``facts`` are put into its card. Raises what `read_adapter` raises.
        """
        if not NAME.fullmatch(name):
            raise BrokenAdapter(f"{name!r} is no adapter name: letters, digits, '.', '_', '-' only")
        adapter = read_adapter(source, name)
        with self._lock:
            own = self.folder / name
            number = max(_numbers(own), default=0) + 1
            card = _card_of(adapter) | dict(facts or {})
            card |= {"name": name, "version": f"v{number}", "content_hash": adapter.content_hash}
            temporary = own / ".new"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for file in (*KEPT, KEPT_PAGE):
                if (source / file).is_file():
                    shutil.copyfile(source / file, temporary / file)
            _write_json(temporary / CARD_FILE, card)
            temporary.replace(own / f"v{number}")
        return self.find(name, f"v{number}")

    def promote(self, name: str, version: str) -> Version:
        """Let the name stand for this version from now on."""
        with self._lock:
            self.find(name, version)
            state = self._state(name)
            if state["promoted"] != version:
                before = [each for each in state["before"] if each != version]
                if state["promoted"]:
                    before.append(state["promoted"])
                self._write_state(name, version, before)
        return self.find(name, version)

    def roll_back(self, name: str) -> Version:
        """Let the name stand for what it stood for before; `Conflict` if for nothing."""
        with self._lock:
            versions = {each.version for each in self.versions(name)}
            before = [each for each in self._state(name)["before"] if each in versions]
            if not before:
                raise Conflict(f"{name} has no version that was promoted before")
            self._write_state(name, before[-1], before[:-1])
        return self.find(name, before[-1])

    def retire(self, name: str) -> None:
        """Let the name stand for nothing; its versions stay."""
        with self._lock:
            self.versions(name)
            state = self._state(name)
            before = [*state["before"], *([state["promoted"]] if state["promoted"] else [])]
            self._write_state(name, None, before)

    def delete(self, name: str, version: str) -> None:
        """Remove a version's files. Raises `Conflict` for the promoted one."""
        with self._lock:
            found = self.find(name, version)
            if found.promoted:
                raise Conflict(f"{name}/{version} is promoted; retire it or roll back first")
            doomed = found.folder.with_name(f".{version}.gone")
            found.folder.rename(doomed)
            shutil.rmtree(doomed)
            if not _numbers(self.folder / name):
                shutil.rmtree(self.folder / name)

    def _read(self, name: str, version: str, served: str | None) -> Version:
        folder = self.folder / name / version
        return Version(name, version, folder, _read_json(folder / CARD_FILE), version == served)

    def _promoted(self, name: str) -> str | None:
        served: str | None = self._state(name)["promoted"] if NAME.fullmatch(name) else None
        return served

    def _state(self, name: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"promoted": None, "before": []}
        return empty | dict(_read_json(self.folder / name / PROMOTED_FILE))

    def _write_state(self, name: str, promoted: str | None, before: list[str]) -> None:
        path = self.folder / name / PROMOTED_FILE
        _write_json(path, {"promoted": promoted, "before": before})


def _numbers(folder: Path) -> list[int]:
    return sorted(
        int(each.name[1:])
        for each in folder.glob("v*")
        if VERSION.fullmatch(each.name) and (each / CONFIG_FILE).is_file()
    )


def _card_of(adapter: Adapter) -> dict[str, Any]:
    """The card it came with, or what can be said of an adapter made elsewhere."""
    made_elsewhere = {
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
    return dict(adapter.card) or made_elsewhere


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
