"""A server with accounts beneath a path, open to guests, that another site may show in a frame."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playground.access import DemoLinks, People
from playground.store.accounts import Accounts
from playground.store.links import Links
from tests.playground.conftest import playground_process
from tests.proxies import ROOT_PATH

PASSWORD = "correct-horse"
FLAGS = (
    "--host", "0.0.0.0", "--root-path", ROOT_PATH, "--password", PASSWORD,
    "--demo", "--demo-tab", "chat", "--demo-tab", "compare", "--demo-banner", "A <b>demo</b>",
    "--demo-system-prompt", "Be kind.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerWithAccounts:
    """Where it listens, what it keeps, and a key to it; ``allowed`` and ``foreign`` are other
    sites, the first of which may show it in a frame. ``framed`` is what their pages show."""

    url: str
    home: Path
    links: DemoLinks
    key: str
    allowed: str
    foreign: str
    framed: list[str]

    @property
    def upstream(self) -> str:
        """Its host and port."""
        return self.url.split("/")[2]


@contextmanager
def site(framed: list[str]) -> Iterator[str]:
    """Another site, whose page shows the last of these addresses in a frame."""

    class Embedding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f"<h1>A shop</h1><iframe src='{framed[-1]}' width=1200 height=800></iframe>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Embedding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def server_with_accounts(home: Path) -> Iterator[ServerWithAccounts]:
    """Start it, and the two sites."""
    framed = [""]
    with (
        closing(Accounts(home)) as accounts,
        closing(DemoLinks(Links(home), accounts)) as links,
        site(framed) as allowed,
        site(framed) as foreign,
        playground_process(home, *FLAGS, "--frame-ancestor", allowed) as url,
    ):
        key = People(accounts).add_key("client", ["chat", "files"]).secret
        assert url.endswith(ROOT_PATH)
        yield ServerWithAccounts(url, home, links, key, allowed, foreign, framed)
