"""`playground history` over a home that holds a conversation."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from playground.cli import cli
from playground.errors import InvalidRequest
from playground.store.conversations import Conversations
from tests.playground.store.conversation_examples import CHAT, TALK


def run(home: Path, *arguments: str) -> str:
    command = ["history", *arguments, "--home", str(home)]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.fixture
def home(tmp_path: Path) -> Path:
    store = Conversations(tmp_path / "home")
    store.record("", TALK, CHAT)
    store.close()
    return tmp_path / "home"


def test_history_is_exported_and_imported(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    assert "1 conversations exported" in run(home, "export", "-o", str(file))
    other = tmp_path / "other"
    printed = run(other, "import", str(file))
    assert "1 conversations of Mistral Playground imported" in printed
    assert "0 conversations of Mistral Playground imported, 1 were there" in run(
        other, "import", str(file)
    )
    assert "Who painted the" in run(other, "list", "--query", "louvre")
    assert "Who painted the" not in run(other, "list", "--query", "prado")


def test_history_is_exported_as_rows(home: Path) -> None:
    first, *_ = run(home, "export", "--format", "rows").splitlines()
    assert len(json.loads(first)["messages"]) == 4


def test_unreadable_import_names_its_file(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nothing.json: No such file"):
        run(home, "import", str(tmp_path / "nothing.json"))
