"""Files that API clients upload, each in a folder of its own under an id. Knows no API.

A client may also announce a file first and send its bytes to an address of its own, which the token
that it was given opens once.
"""

import hashlib
import hmac
import re
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from playground.errors import InvalidRequest, Overloaded, UnknownFile
from playground.files import atomic_folder
from playground.store.json_files import StoredObject, read_json_object, write_json_object
from playground.store.viewer import Viewer, current_owner, may_see, viewed_by

ID = re.compile(r"file-[0-9a-f]{24}")
METADATA_FILE, CONTENT = "about.json", "content"
ANNOUNCED = ".announced"
ANNOUNCED_S = 3600
"""How long an announced file is waited for, in seconds."""
MAX_ANNOUNCED = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was uploaded. ``created`` and ``expires`` are in seconds since the epoch; one
    that does not expire stays until it is deleted. ``owner`` is whose it is."""

    id: str
    name: str
    size: int
    purpose: str
    created: int
    path: Path
    expires: int | None = None
    owner: str = ""


class Uploads:
    """The uploads of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "uploads"

    async def save(
        self,
        name: str,
        purpose: str,
        chunks: AsyncIterator[bytes],
        expires_s: int | None = None,
    ) -> Upload:
        """Keep a file, for so many seconds or for ever. Of its name only safe characters are kept,
        and the ending.

        Raises `InvalidRequest` for an empty one.
        """
        return await self._save(_new_id(), name, purpose, chunks, expires_s=expires_s)

    def write(
        self,
        file_id: str,
        name: str,
        purpose: str,
        lines: Iterable[str],
        expires_s: int | None = None,
    ) -> Upload | None:
        """Keep a file of the server's own under an id of its choice; what is there under that id
        already stays. None if there are no lines, and no file then.
        """
        with suppress(UnknownFile):
            return self.find(file_id)
        with tempfile.TemporaryDirectory(dir=self._made_folder(), prefix=".") as scratch:
            path = Path(scratch) / name
            with path.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
            size = path.stat().st_size
            if not size:
                return None
            with suppress(FileExistsError), atomic_folder(self._folder / file_id) as folder:
                (folder / CONTENT).mkdir()
                path.rename(folder / CONTENT / name)
                _write_metadata(folder, name, size, purpose, expires_s)
        return self.find(file_id)

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
            "owner": current_owner(),
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
        viewer = Viewer(str(announced.get("owner", "")), sees_all=True)
        try:
            with viewed_by(viewer):  # the token stands for whoever announced it
                upload = await self._save(file_id, name, purpose, chunks, str(announced["sha256"]))
        except FileExistsError:  # sent twice at once
            raise UnknownFile(file_id) from None
        path.unlink(missing_ok=True)
        return upload

    async def _save(
        self,
        file_id: str,
        name: str,
        purpose: str,
        chunks: AsyncIterator[bytes],
        sha256: str = "",
        expires_s: int | None = None,
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
            _write_metadata(folder, safe, size, purpose, expires_s)
        return self.find(file_id)

    def _made_folder(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def keep(self, path: Path, purpose: str) -> Upload:
        """Keep a copy of a file of this machine."""
        file_id = _new_id()
        with atomic_folder(self._folder / file_id) as folder:
            (folder / CONTENT).mkdir()
            copy = Path(shutil.copyfile(path, folder / CONTENT / path.name))
            _write_metadata(folder, path.name, copy.stat().st_size, purpose)
        return self.find(file_id)

    def find(self, file_id: str) -> Upload:
        """Return an upload by its id. Raises `UnknownFile`, also for one that expired, which is
        removed then."""
        folder = self._folder / file_id
        metadata = read_json_object(folder / METADATA_FILE) if ID.fullmatch(file_id) else {}
        if not metadata:
            raise UnknownFile(file_id)
        path = folder / CONTENT / str(metadata["name"])
        upload = Upload(file_id, path=path, **metadata)  # type: ignore[arg-type]
        if not may_see(upload.owner):
            raise UnknownFile(file_id)
        if upload.expires is not None and upload.expires <= time.time():
            shutil.rmtree(folder, ignore_errors=True)
            raise UnknownFile(file_id)
        return upload

    def all(self) -> list[Upload]:
        """All uploads, the latest first."""
        uploads = []
        for folder in self._folder.glob("file-*"):
            with suppress(UnknownFile):  # expired, or deleted meanwhile
                uploads.append(self.find(folder.name))
        return sorted(uploads, key=lambda upload: (upload.created, upload.id), reverse=True)

    def delete(self, file_id: str) -> None:
        """Remove an upload; jobs have copies of their own. Raises `UnknownFile`."""
        shutil.rmtree(self.find(file_id).path.parents[1])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _new_id() -> str:
    return f"file-{uuid.uuid4().hex[:24]}"


def _write_metadata(
    folder: Path, name: str, size: int, purpose: str, expires_s: int | None = None
) -> None:
    now = int(time.time())
    metadata: StoredObject = {
        "name": name, "size": size, "purpose": purpose, "created": now, "owner": current_owner(),
    }  # fmt: skip
    expires: StoredObject = {} if expires_s is None else {"expires": now + expires_s}
    write_json_object(folder / METADATA_FILE, metadata | expires)
