"""Attacks on the whole playground, over HTTP: each is refused, and the server goes on."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from finetune.data import encodings
from finetune.data.encodings import UnreadableRecord
from finetune.data.sources import records
from playground.access import LOCAL
from playground.api.origins import Origins
from playground.errors import Forbidden
from playground.settings import load_settings
from tests.playground.access.attacks import Attack, attacks
from tests.playground.access.oidc_server import CLIENT_SECRET
from tests.playground.access.senders import EVIL
from tests.playground.access.target import PASSWORD, SECRET, Target, target

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
BEGIN, END = "<!-- attacks begin -->\n", "<!-- attacks end -->"
ATTACKS = tuple(attacks())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("attacked") / "home") as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_is_refused(server: Target, attack: Attack) -> None:
    answer = attack.send(server)
    assert answer.status == attack.status, answer.text[:500]
    for secret in (SECRET, PASSWORD, CLIENT_SECRET, "root:x:", *server.keys.values()):
        assert secret not in answer.text
    assert not server.visited
    assert httpx.get(f"{server.url}/health").status_code == 200


def log_with_path(server: Target, path: str) -> str:
    """The log once it has a line of ``path``: a request's line follows its answer."""
    for _ in range(100):
        log = server.process.stderr
        whole = log[: log.rfind("\n") + 1]
        if any(json.loads(line).get("path") == path for line in whole.splitlines()):
            return whole
        server.ask("", "GET", "/health")
    raise AssertionError(f"no line of {path!r} in {log[-2000:]}")


@pytest.mark.slow
def test_the_log_keeps_no_secrets(server: Target) -> None:
    server.ask("", "GET", "/v1/models%0A%7B%22forged%22:1%7D?token=in-the-query")
    log = log_with_path(server, '/v1/models\n{"forged":1}')
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"level", "message", "time"} <= set.intersection(*(set(line) for line in lines))
    for secret in (
        PASSWORD, CLIENT_SECRET, "in-the-query", *server.keys.values(), *server.links.values(),
    ):  # fmt: skip
        assert secret not in log


def test_the_document_lists_the_attacks() -> None:
    lines = ["| attack | answer | by |", "|---|---|---|"]
    lines += [f"| {attack.name} | {attack.status} | {attack.by} |" for attack in ATTACKS]
    table = "\n".join(lines) + "\n"
    written = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert written == table, f"write this between the marks of {DOCUMENT}:\n{table}"


def test_gzip_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "MIN_UNPACKED_BYTES", 2**20)
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b"0" * 2**22))
    (_, found) = next(iter(records(path)))
    assert isinstance(found, UnreadableRecord)
    assert "more than 200 times" in found.problem


def scope(method: str, **headers: str) -> dict[str, object]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "headers": sent}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example"])
def test_a_foreign_name_is_refused(host: str) -> None:
    """A name that its owner points at this machine: DNS rebinding."""
    with pytest.raises(Forbidden, match="--allowed-host"):
        Origins.from_settings(load_settings()).check(scope("GET", host=host), LOCAL)


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860", "box.example."])
def test_own_names_are_answered(host: str) -> None:
    settings = load_settings({"server.allowed_hosts": ["box.example"]})
    Origins.from_settings(settings).check(scope("POST", host=host), LOCAL)


def test_a_local_server_takes_no_forms_of_others() -> None:
    origins = Origins.from_settings(load_settings({"server.cors_origins": ["http://ours.example"]}))
    with pytest.raises(Forbidden):
        origins.check(scope("POST", host="localhost", origin=EVIL), LOCAL)
    origins.check(scope("POST", host="localhost", origin="http://ours.example"), LOCAL)
    origins.check(scope("POST", host="localhost", origin="http://localhost"), LOCAL)
