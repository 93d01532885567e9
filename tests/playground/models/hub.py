"""A hub on this machine: the paths and headers that a snapshot download asks for.

As huggingface_hub 2 asks: `GET /api/models/ID/revision/REV` and `.../tree/SHA`, then `HEAD` and
`GET` (with `Range`) of `/ID/resolve/SHA/FILE`.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """One repository made of a folder's files.

    ``cut`` lists files whose next download breaks off half way, ``refused`` those that are
    forbidden; ``ranges`` records at which byte each download of a file began.
    """

    repository: str
    folder: Path
    gated: bool = False
    cut: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    ranges: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class HubServer:
    """The address, and the hub that answers there now."""

    endpoint: str
    hub: Hub | None = None


@contextmanager
def serving() -> Iterator[HubServer]:
    """Serve on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Be quiet."""

        def _hub(self) -> Hub:
            assert running.hub is not None
            return running.hub

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            hub = self._hub()
            path = self.path.split("?")[0].strip("/")
            if path.startswith(f"api/models/{hub.repository}/revision/"):
                names = sorted(each.name for each in hub.folder.iterdir())
                siblings = [{"rfilename": name} for name in names]
                body = {"id": hub.repository, "sha": SHA, "siblings": siblings, "tags": []}
                if not path.endswith(("/main", f"/{SHA}")):
                    self._refuse(404, "RevisionNotFound")
                else:
                    self._send(json.dumps(body).encode(), "application/json")
            elif path == f"api/models/{hub.repository}/tree/{SHA}":
                self._send(json.dumps(self._tree()).encode(), "application/json")
            elif found := re.fullmatch(rf"{hub.repository}/resolve/{SHA}/(.+)", path):
                self._file(found[1])
            else:
                self._refuse(404, "RepoNotFound")

        def _tree(self) -> list[dict[str, object]]:
            files = sorted(self._hub().folder.iterdir())
            return [
                {"type": "file", "path": each.name, "size": each.stat().st_size, "oid": SHA}
                for each in files
            ]

        def _file(self, name: str) -> None:
            hub = self._hub()
            if hub.gated:
                return self._refuse(403, "GatedRepo")
            if name in hub.refused:
                return self._refuse(403, "")
            content = (hub.folder / name).read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            if self.command == "GET":
                hub.ranges.setdefault(name, []).append(start)
            self._send(content, "application/octet-stream", start, name)
            return None

        def _send(self, content: bytes, kind: str, start: int = 0, name: str = "") -> None:
            hub = self._hub()
            part = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(part)))
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", SHA)
            self.end_headers()
            if self.command == "HEAD":
                return
            if name in hub.cut:
                hub.cut.remove(name)
                self.wfile.write(part[: len(part) // 2])
                self.close_connection = True
                return
            self.wfile.write(part)

        def _refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = HubServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
