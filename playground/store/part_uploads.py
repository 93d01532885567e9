"""Files that come in parts, each of which may be sent again: announced, sent, then put together.

Parts lie in a folder of the upload until it is completed or cancelled; nobody completes one after
`EXPIRES_S`. Knows no API.
"""

import hashlib
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from playground.errors import Conflict, InvalidRequest, UnknownFile
from playground.files import write_atomic
from playground.store.json_files import read_json_object, write_json_object
from playground.store.uploads import Upload, Uploads
from playground.store.viewer import current_owner, may_see

EXPIRES_S = 3600
"""How long parts are taken, in seconds: OpenAI's hour."""
FORGET_S = 24 * EXPIRES_S
"""When what is left of an upload is removed."""
CHUNK = 2**20
ID, PART_ID = re.compile(r"upload_[0-9a-f]{24}"), re.compile(r"part_[0-9a-f]{24}")
METADATA_FILE = "about.json"

PartUploadStatus = Literal["pending", "completed", "cancelled", "expired"]


@dataclass(frozen=True, slots=True)
class PartUpload:
    """An upload in parts. ``size`` is in bytes, as announced; times are in seconds since the epoch;
    ``file_id`` is the file that it became, which stays for ``file_expires_s`` seconds if given."""

    id: str
    name: str
    size: int
    purpose: str
    created: int
    file_expires_s: int | None = None
    status: PartUploadStatus = "pending"
    file_id: str = ""
    owner: str = ""

    @property
    def expires(self) -> int:
        """Until when parts are taken."""
        return self.created + EXPIRES_S


class PartUploads:
    """The uploads in parts of one home; ``max_bytes`` is the largest file."""

    def __init__(self, home: Path, uploads: Uploads, max_bytes: int) -> None:
        self._folder = home / "uploads" / ".parts"
        self._uploads = uploads
        self._max_bytes = max_bytes
        self._completing: set[str] = set()

    def create(
        self, name: str, purpose: str, size: int, file_expires_s: int | None = None
    ) -> PartUpload:
        """Announce a file. Raises `InvalidRequest` for one that is empty or too large."""
        if not 1 <= size <= self._max_bytes:
            raise InvalidRequest("bytes", f"{size} is not between 1 and {self._max_bytes}")
        self._remove_old()
        upload_id = f"upload_{uuid.uuid4().hex[:24]}"
        made = PartUpload(
            upload_id, name, size, purpose, int(time.time()), file_expires_s, owner=current_owner()
        )
        self._write(made)
        return made

    def find(self, upload_id: str) -> PartUpload:
        """Return an upload. Raises `UnknownFile`."""
        folder = self._folder / upload_id
        metadata = read_json_object(folder / METADATA_FILE) if ID.fullmatch(upload_id) else {}
        if not metadata:
            raise UnknownFile(upload_id)
        found = PartUpload(**metadata)  # type: ignore[arg-type]
        if not may_see(found.owner):
            raise UnknownFile(upload_id)
        if found.status == "pending" and found.expires <= time.time():
            return replace(found, status="expired")
        return found

    def add_part(self, upload_id: str, data: bytes) -> str:
        """Keep a part; returns its id. Parts may come in any order, and several at once.

        Raises `UnknownFile`, `Conflict` if no parts are taken any more, and `InvalidRequest` for an
        empty part and for one beyond the announced size.
        """
        upload = self._pending(upload_id)
        folder = self._folder / upload_id
        kept = sum(path.stat().st_size for path in folder.glob("part_*"))
        if not data:
            raise InvalidRequest("data", "it is empty")
        if kept + len(data) > upload.size:
            problem = f"{kept + len(data)} bytes came; {upload.size} were announced"
            raise InvalidRequest("data", problem)
        part_id = f"part_{uuid.uuid4().hex[:24]}"
        write_atomic(folder / part_id, data)
        return part_id

    async def complete(
        self, upload_id: str, part_ids: Sequence[str], md5: str = ""
    ) -> tuple[PartUpload, Upload]:
        """Put the parts together in this order.

        Raises `UnknownFile`, `Conflict`, and `InvalidRequest` where a part is unknown or named
        twice, or size or MD5 are not the announced ones; it may be tried again then.
        """
        upload = self._pending(upload_id)
        paths = [self._part(upload_id, part_ids, at) for at in range(len(part_ids))]
        size = sum(path.stat().st_size for path in paths)
        if size != upload.size:
            problem = f"have {size} bytes together; {upload.size} were announced"
            raise InvalidRequest("part_ids", problem)
        if upload_id in self._completing:
            raise Conflict(f"upload {upload_id} is being completed")
        self._completing.add(upload_id)
        try:
            chunks = _chunks(paths, md5)
            file = await self._uploads.save(
                upload.name, upload.purpose, chunks, upload.file_expires_s
            )
            done = replace(upload, status="completed", file_id=file.id)
            self._write(done)
        finally:
            self._completing.discard(upload_id)
        self._remove_parts(upload_id)
        return done, file

    def cancel(self, upload_id: str) -> PartUpload:
        """Take no more parts, and drop those that came. Raises `UnknownFile` or `Conflict`."""
        upload = self._pending(upload_id)
        if upload_id in self._completing:
            raise Conflict(f"upload {upload_id} is being completed")
        done = replace(upload, status="cancelled")
        self._write(done)
        self._remove_parts(upload_id)
        return done

    def _part(self, upload_id: str, part_ids: Sequence[str], at: int) -> Path:
        part_id = part_ids[at]
        path = self._folder / upload_id / part_id
        if not (PART_ID.fullmatch(part_id) and path.is_file()):
            raise InvalidRequest(f"part_ids[{at}]", f"{part_id!r} is no part of this upload")
        if part_id in part_ids[:at]:
            raise InvalidRequest(f"part_ids[{at}]", f"{part_id!r} is named twice")
        return path

    def _pending(self, upload_id: str) -> PartUpload:
        upload = self.find(upload_id)
        if upload.status != "pending":
            raise Conflict(f"upload {upload_id} is {upload.status}")
        return upload

    def _write(self, upload: PartUpload) -> None:
        write_json_object(self._folder / upload.id / METADATA_FILE, asdict(upload))

    def _remove_parts(self, upload_id: str) -> None:
        for path in (self._folder / upload_id).glob("part_*"):
            path.unlink(missing_ok=True)

    def _remove_old(self) -> None:
        for folder in self._folder.glob("upload_*"):
            metadata = read_json_object(folder / METADATA_FILE)
            created = metadata.get("created", 0)
            if isinstance(created, int) and created + FORGET_S < time.time():
                shutil.rmtree(folder, ignore_errors=True)


async def _chunks(paths: Sequence[Path], md5: str) -> AsyncIterator[bytes]:
    """The bytes of all files. Raises `InvalidRequest` at their end if their MD5 is another."""
    digest = hashlib.md5(usedforsecurity=False)
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                yield chunk
    if md5 and digest.hexdigest() != md5.lower():
        raise InvalidRequest("md5", "is not the MD5 of the bytes that were sent")
