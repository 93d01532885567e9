"""Files that API clients upload: each in a folder of its own, under an id. Knows no API."""

import json
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from playground.errors import UnknownFile

ID = re.compile(r"file-[0-9a-f]{24}")
ABOUT, CONTENT = "about.json", "content"


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
        """Keep a file; its name tells nothing but its ending to whoever reads it later."""
        own = f"file-{uuid.uuid4().hex[:24]}"
        safe = re.sub(r"[^\w.-]", "_", Path(name).name)[-120:].lstrip(".") or "rows.jsonl"
        folder = self._folder / f".{own}"
        (folder / CONTENT).mkdir(parents=True)
        size = 0
        with (folder / CONTENT / safe).open("wb") as file:
            async for chunk in chunks:
                size += file.write(chunk)
        about = {"name": safe, "size": size, "purpose": purpose, "created": int(time.time())}
        (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        folder.replace(self._folder / own)
        return self.find(own)

    def find(self, own: str) -> Upload:
        """An upload by its id. Raises `UnknownFile`."""
        folder = self._folder / own
        if not ID.fullmatch(own) or not (folder / ABOUT).is_file():
            raise UnknownFile(own)
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return Upload(own, path=folder / CONTENT / about["name"], **about)

    def all(self) -> list[Upload]:
        """All uploads, the latest first."""
        found = [self.find(each.name) for each in self._folder.glob("file-*")]
        return sorted(found, key=lambda each: (each.created, each.id), reverse=True)

    def delete(self, own: str) -> None:
        """Remove an upload; jobs have copies of their own. Raises `UnknownFile`."""
        shutil.rmtree(self.find(own).path.parents[1])
