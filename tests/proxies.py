"""The real nginx and the real Caddy with TLS on a port of this machine, by a user of its own, with
the files in ``deploy``.
"""

import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"
ROOT_PATH = "/playground"
"""Of both files."""
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
NGINX, CADDY, OPENSSL = (
    shutil.which(name, path=SYSTEM_PATH) for name in ("nginx", "caddy", "openssl")
)
NEEDS_PROXIES = pytest.mark.skipif(
    None in (NGINX, CADDY, OPENSSL),
    reason="nginx or Caddy is not installed: apt-get install nginx caddy openssl",
)
START_S, STOP_S = 60, 30


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where it listens, the path that it passes on included; ``authority`` is the file of the
    certificate that clients have to trust."""

    url: str
    authority: Path


def free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def nginx(upstream: str) -> Iterator[Proxy]:
    """Start nginx with ``deploy/nginx.conf`` before what listens at ``upstream``, HOST:PORT."""
    port = free_port()
    with _folder() as folder:
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        made = [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                "-keyout", key, "-out", certificate]  # fmt: skip
        _run([str(part) for part in made], folder)
        site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
        for written, here in (
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("playground.example.org;", "localhost;"),
            ("/etc/ssl/certs/playground.pem", str(certificate)),
            ("/etc/ssl/private/playground.key", str(key)),
            ("127.0.0.1:7860", upstream),
        ):
            assert written in site
            site = site.replace(written, here)
        kept = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in kept)
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
        )
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        with _running(command, folder, {}, certificate, port):
            yield Proxy(f"https://localhost:{port}{ROOT_PATH}", certificate)


@contextmanager
def caddy(upstream: str) -> Iterator[Proxy]:
    """Start Caddy with ``deploy/Caddyfile`` and an authority of its own."""
    port = free_port()
    with _folder() as folder:
        (folder / "Caddyfile").write_text(
            "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
            + (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
        )
        told = {
            "DOMAIN": f"https://localhost:{port}", "ROOT_PATH": ROOT_PATH, "UPSTREAM": upstream,
            "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder),
        }  # fmt: skip
        command = [str(CADDY), "run", "--config", str(folder / "Caddyfile")]
        authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        with _running(command, folder, told, authority, port):
            yield Proxy(f"https://localhost:{port}{ROOT_PATH}", authority)


PROXIES: Mapping[str, Callable[[str], AbstractContextManager[Proxy]]] = {
    "nginx": nginx,
    "caddy": caddy,
}


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="proxy-", dir="/tmp"))
    if user := _user():
        found = pwd.getpwnam(user)
        os.chown(folder, found.pw_uid, found.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _user() -> str | None:
    """Neither runs as root here, where the tests do."""
    return "www-data" if os.getuid() == 0 else None


def _run(command: Sequence[str], folder: Path) -> None:
    subprocess.run(
        command, user=_user(), cwd=folder, check=True, timeout=60, capture_output=True
    )  # fmt: skip


@contextmanager
def _running(
    command: Sequence[str], folder: Path, told: Mapping[str, str], authority: Path, port: int
) -> Iterator[None]:
    """Run a proxy until the block ends; it begins once it answers with TLS."""
    with (
        (folder / "log").open("w+") as log,
        subprocess.Popen(
            command, user=_user(), cwd=folder, env={"PATH": SYSTEM_PATH, **told}, stdout=log,
            stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            deadline = time.monotonic() + START_S
            while not _answers(authority, port):
                written = (folder / "log").read_text()
                assert process.poll() is None, written
                assert time.monotonic() < deadline, written
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(authority: Path, port: int) -> bool:
    with suppress(OSError):
        trusting = ssl.create_default_context(cafile=str(authority))
        with (
            socket.create_connection(("127.0.0.1", port), 5) as channel,
            trusting.wrap_socket(channel, server_hostname="localhost"),
        ):
            return True
    return False
