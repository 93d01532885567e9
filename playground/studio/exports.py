"""What was exported under ``PLAYGROUND_HOME/exports``: made, found, removed. Knows no server.

A version never changes, so each form of it is written once.
"""

import shutil
from pathlib import Path

from playground.errors import UnknownExport
from playground.models.export.request import Exported, make_request
from playground.store.adapters import Version

EXPORTS_FOLDER = "exports"
WITH_TYPES = ("gguf", "ollama")


def export_version(version: Version, home: Path, to: str, gguf_type: str) -> Exported:
    """Write a version for another program, to ``exports/NAME-VERSION-to``.

    What is there already of the same weights is returned, and anything else there is replaced.
    Raises what `playground.models.export.export` raises.
    """
    from playground.models.export.export import export, read_exported  # imports torch

    ending = f"{to}-{gguf_type}" if to in WITH_TYPES else to
    out = home / EXPORTS_FOLDER / f"{version.name}-{version.version}-{ending}"
    request = make_request(version.folder, to, home, out=out, gguf_type=gguf_type)
    if exported := read_exported(out, version.content_hash):
        return exported
    if out.is_dir():
        shutil.rmtree(out)
    return export(request)


def find_export(home: Path, export_id: str) -> Path:
    """Return the folder of an export. Raises `UnknownExport`."""
    exports = home / EXPORTS_FOLDER
    if export_id not in {path.name for path in exports.glob("*/")}:
        raise UnknownExport(export_id)
    return exports / export_id


def delete_export(home: Path, export_id: str) -> None:
    """Remove an export. Raises `UnknownExport`."""
    shutil.rmtree(find_export(home, export_id))
