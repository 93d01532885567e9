"""What happens in the adapters' room: versions are promoted, rolled back, retired, imported.

Knows which outputs an event has and in which order; which component they are is finetune.py's
matter.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from playground.errors import InvalidSettings
from playground.store.adapters import Version
from playground.studio.studio import Studio
from playground.ui.components.errors import shows_errors
from playground.ui.components.status import verdict
from playground.ui.finetune.views import adapters_html

Updates = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AdapterRoom:
    """The handlers. Each returns the table, the versions to choose from, the chosen card, and what
    was done."""

    studio: Studio

    def refresh(self, chosen: str | None, note: str = "") -> Updates:
        """What is in the store."""
        versions = self._versions()
        names = [f"{each.name}/{each.version}" for each in versions]
        value = chosen if chosen in names else (names[0] if names else None)
        card = next((dict(v.card) for v in versions if f"{v.name}/{v.version}" == value), None)
        said = verdict(note, good=True) if note else ""
        return adapters_html(versions), gr.Dropdown(names, value=value), card, said

    @shows_errors
    def attempt(self, chosen: str | None) -> Updates:
        """The version is served under a name of its own, in Chat and Compare."""
        info = self.studio.try_version(*_parts(chosen))
        return self.refresh(chosen, f"Served: choose {info.name} in Chat or Compare")

    @shows_errors
    def promote(self, chosen: str | None) -> Updates:
        """The name stands for this version from now on."""
        version = self.studio.promote(*_parts(chosen))
        return self.refresh(chosen, f"{version.name} is {version.version} from now on")

    @shows_errors
    def roll_back(self, chosen: str | None) -> Updates:
        """The name stands for what it stood for before."""
        version = self.studio.roll_back(_parts(chosen)[0])
        return self.refresh(chosen, f"{version.name} is {version.version} again")

    @shows_errors
    def retire(self, chosen: str | None) -> Updates:
        """The name stands for nothing."""
        name, _ = _parts(chosen)
        self.studio.retire(name)
        return self.refresh(chosen, f"{name} is not served any more")

    @shows_errors
    def delete(self, chosen: str | None) -> Updates:
        """The version's files go."""
        self.studio.delete(*_parts(chosen))
        return self.refresh(None, f"{chosen} is deleted")

    @shows_errors
    def take_in(self, files: list[str] | None, name: str) -> Updates:
        """An adapter made elsewhere becomes the next version of a name."""
        if not files:
            raise InvalidSettings("files: drop the adapter's files")
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                shutil.copyfile(file, Path(folder) / Path(file).name)
            version = self.studio.import_adapter(Path(folder), name.strip())
        chosen = f"{version.name}/{version.version}"
        return self.refresh(chosen, f"{chosen} is imported, and not promoted yet")

    def _versions(self) -> list[Version]:
        store = self.studio.store
        return [each for name in store.names() for each in store.versions(name)[::-1]]


def _parts(chosen: str | None) -> tuple[str, str]:
    if not chosen:
        raise InvalidSettings("choose a version first")
    name, _, version = chosen.partition("/")
    return name, version
