"""Files that API clients upload, each in a folder of its own under an id. Knows no API."""

import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from playground.errors import InvalidRequest, UnknownFile
from playground.files import atomic_folder
from playground.store.json_files import StoredObject, read_json_object, write_json_object

ID = re.compile(r"file-[0-9a-f]{24}")
METADATA_FILE, CONTENT = "about.json", "content"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was uploaded. ``created`` is in seconds since the epoch."""

    id: str
    name: str
    size: int
    purpose: str
    created: int
    path: Path


class Uploads:
    """The uploads of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "uploads"

    async def save(self, name: str, purpose: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Keep a file. Of its name only safe characters are kept, and the ending.

        Raises `InvalidRequest` for an empty one.
        """
        file_id = _new_id()
        safe = re.sub(r"[^\w.-]", "_", Path(name).name)[-120:].lstrip(".") or "rows.jsonl"
        with atomic_folder(self._folder / file_id) as folder:
            (folder / CONTENT).mkdir()
            size = 0
            with (folder / CONTENT / safe).open("wb") as file:
                async for chunk in chunks:
                    size += file.write(chunk)
            if not size:
                raise InvalidRequest("file", "it is empty")
            _write_metadata(folder, safe, size, purpose)
        return self.find(file_id)

    def keep(self, path: Path, purpose: str) -> Upload:
        """Keep a copy of a file of this machine."""
        file_id = _new_id()
        with atomic_folder(self._folder / file_id) as folder:
            (folder / CONTENT).mkdir()
            copy = Path(shutil.copyfile(path, folder / CONTENT / path.name))
            _write_metadata(folder, path.name, copy.stat().st_size, purpose)
        return self.find(file_id)

    def find(self, file_id: str) -> Upload:
        """Return an upload by its id. Raises `UnknownFile`."""
        folder = self._folder / file_id
        metadata = read_json_object(folder / METADATA_FILE) if ID.fullmatch(file_id) else {}
        if not metadata:
            raise UnknownFile(file_id)
        path = folder / CONTENT / str(metadata["name"])
        return Upload(file_id, path=path, **metadata)  # type: ignore[arg-type]

    def all(self) -> list[Upload]:
        """All uploads, the latest first."""
        uploads = [self.find(folder.name) for folder in self._folder.glob("file-*")]
        return sorted(uploads, key=lambda upload: (upload.created, upload.id), reverse=True)

    def delete(self, file_id: str) -> None:
        """Remove an upload; jobs have copies of their own. Raises `UnknownFile`."""
        shutil.rmtree(self.find(file_id).path.parents[1])


def _new_id() -> str:
    return f"file-{uuid.uuid4().hex[:24]}"


def _write_metadata(folder: Path, name: str, size: int, purpose: str) -> None:
    metadata: StoredObject = {"name": name, "size": size, "purpose": purpose}
    write_json_object(folder / METADATA_FILE, metadata | {"created": int(time.time())})
