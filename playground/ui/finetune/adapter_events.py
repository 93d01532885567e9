"""What happens under “Adapters”: versions are tried, promoted, rolled back, retired, imported,
exported."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from playground.errors import InvalidSettings
from playground.store.adapters import Version
from playground.studio.studio import Studio
from playground.ui.components.markup import render
from playground.ui.components.status import verdict
from playground.ui.finetune.views import adapters_html

NONE_LEFT = ""


@dataclass(frozen=True, slots=True)
class AdapterUpdate:
    """The table of versions, the chosen one with its card, and what was done."""

    table: str
    version: gr.Dropdown
    card: Mapping[str, object] | None
    note: str


@dataclass(frozen=True, slots=True)
class AdapterHandlers:
    """The handlers."""

    studio: Studio

    def refresh(self, chosen: str | None) -> AdapterUpdate:
        """Show what is in the store."""
        return self._show(chosen)

    def preview(self, page: gr.Request, chosen: str | None) -> AdapterUpdate:
        """Serve the version under a name of its own, for Chat and Compare."""
        info = self.studio.try_version(*_name_and_version(chosen), user=page.session_hash or "")
        return self._show(chosen, f"Served: choose {info.name} in Chat or Compare")

    def promote(self, chosen: str | None) -> AdapterUpdate:
        """Let the name stand for this version."""
        version = self.studio.promote(*_name_and_version(chosen))
        return self._show(chosen, f"{version.name} now stands for {version.version}")

    def roll_back(self, chosen: str | None) -> AdapterUpdate:
        """Let the name stand for the version that was promoted before."""
        version = self.studio.roll_back(_name_and_version(chosen)[0])
        return self._show(chosen, f"{version.name} stands for {version.version} again")

    def retire(self, chosen: str | None) -> AdapterUpdate:
        """Stop serving the name."""
        name, _ = _name_and_version(chosen)
        self.studio.retire(name)
        return self._show(chosen, f"{name} is no longer served")

    def delete(self, chosen: str | None) -> AdapterUpdate:
        """Remove the version's files."""
        name, version = _name_and_version(chosen)
        self.studio.delete(name, version)
        others = self.studio.store.versions(name) if name in self.studio.store.names() else ()
        # Never another name: the next click would be about something else than was looked at.
        left = f"{name}/{others[-1].version}" if others else NONE_LEFT
        return self._show(left, f"{chosen} is deleted")

    def export(self, chosen: str | None, target: str, gguf_type: str) -> AdapterUpdate:
        """Write the version for another program, on the server's disk."""
        exported = self.studio.export(*_name_and_version(chosen), target, gguf_type)
        text = f"{exported.folder} ({exported.size / 2**20:.1f} MiB): {exported.command}"
        update = self._show(chosen)
        link = f"v1/exports/{exported.folder.name}"
        note = render("finetune/export.html", lines=(text, *exported.notes), link=link)
        return replace(update, note=note)

    def import_adapter(self, files: list[str] | None, name: str) -> AdapterUpdate:
        """Make an adapter from elsewhere the next version of a name."""
        if not files:
            raise InvalidSettings("files: drop the adapter's files")
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                shutil.copyfile(file, Path(folder) / Path(file).name)
            version = self.studio.import_adapter(Path(folder), name.strip())
        chosen = f"{version.name}/{version.version}"
        return self._show(chosen, f"{chosen} is imported; it is not promoted yet")

    def _show(self, chosen: str | None, text: str = "") -> AdapterUpdate:
        versions = {f"{item.name}/{item.version}": item for item in self._versions()}
        first = None if chosen == NONE_LEFT else next(iter(versions), None)
        value = chosen if chosen in versions else first
        return AdapterUpdate(
            table=adapters_html(list(versions.values())),
            version=gr.Dropdown(list(versions), value=value),
            card=dict(versions[value].card) if value else None,
            note=verdict(text, good=True) if text else "",
        )

    def _versions(self) -> list[Version]:
        store = self.studio.store
        return [item for name in store.names() for item in reversed(store.versions(name))]


def _name_and_version(chosen: str | None) -> tuple[str, str]:
    if not chosen:
        raise InvalidSettings("choose a version first")
    name, _, version = chosen.partition("/")
    return name, version
