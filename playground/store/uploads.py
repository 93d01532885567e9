"""Files that API clients upload, each in a folder of its own under an id. Knows no API.

A client may also announce a file first and send its bytes to an address of its own, which the token
that it was given opens once.
"""

import hashlib
import hmac
import re
import secrets
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playground.errors import InvalidRequest, Overloaded, UnknownFile
from playground.files import atomic_folder
from playground.store.json_files import StoredObject, read_json_object, write_json_object

ID = re.compile(r"file-[0-9a-f]{24}")
METADATA_FILE, CONTENT = "about.json", "content"
ANNOUNCED = ".announced"
ANNOUNCED_S = 3600
"""How long an announced file is waited for, in seconds."""
MAX_ANNOUNCED = 100


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
        return await self._save(_new_id(), name, purpose, chunks)

    def announce(self, name: str, purpose: str, sha256: str) -> tuple[str, str]:
        """Reserve an id for a file that follows; returns it with the token that `receive` wants.

        Raises `Overloaded` while too many are waited for.
        """
        folder = self._folder / ANNOUNCED
        folder.mkdir(parents=True, exist_ok=True)
        waiting = 0
        for path in folder.glob("*.json"):
            with suppress(OSError):  # received meanwhile
                if time.time() - path.stat().st_mtime > ANNOUNCED_S:
                    path.unlink()
                    continue
            waiting += 1
        if waiting >= MAX_ANNOUNCED:
            raise Overloaded(waiting)
        file_id, token = _new_id(), secrets.token_urlsafe(24)
        announced: StoredObject = {
            "name": name, "purpose": purpose, "sha256": sha256, "token": _digest(token),
        }  # fmt: skip
        write_json_object(folder / f"{file_id}.json", announced)
        return file_id, token

    async def receive(self, file_id: str, token: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Keep an announced file.

        Raises `UnknownFile` if none of that id and token is waited for, `InvalidRequest` if it is
        empty or its SHA-256 is not the announced one; it may be sent again then.
        """
        path = self._folder / ANNOUNCED / f"{file_id}.json"
        announced = read_json_object(path) if ID.fullmatch(file_id) else {}
        if not hmac.compare_digest(str(announced.get("token", "")), _digest(token)):
            raise UnknownFile(file_id)
        name, purpose = str(announced["name"]), str(announced["purpose"])
        try:
            upload = await self._save(file_id, name, purpose, chunks, str(announced["sha256"]))
        except FileExistsError:  # sent twice at once
            raise UnknownFile(file_id) from None
        path.unlink(missing_ok=True)
        return upload

    async def _save(
        self, file_id: str, name: str, purpose: str, chunks: AsyncIterator[bytes], sha256: str = ""
    ) -> Upload:
        safe = re.sub(r"[^\w.-]", "_", Path(name).name)[-120:].lstrip(".") or "rows.jsonl"
        digest = hashlib.sha256()
        with atomic_folder(self._folder / file_id) as folder:
            (folder / CONTENT).mkdir()
            size = 0
            with (folder / CONTENT / safe).open("wb") as file:
                async for chunk in chunks:
                    size += file.write(chunk)
                    digest.update(chunk)
            if not size:
                raise InvalidRequest("file", "it is empty")
            if sha256 and digest.hexdigest() != sha256:
                raise InvalidRequest("checksum", "is not the SHA-256 of the bytes that were sent")
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


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _new_id() -> str:
    return f"file-{uuid.uuid4().hex[:24]}"


def _write_metadata(folder: Path, name: str, size: int, purpose: str) -> None:
    metadata: StoredObject = {"name": name, "size": size, "purpose": purpose}
    write_json_object(folder / METADATA_FILE, metadata | {"created": int(time.time())})
