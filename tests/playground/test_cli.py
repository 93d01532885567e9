"""The command as a person types it: a real process."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from playground.cli import main; main()")


def run(arguments: Sequence[str], typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_question_on_the_command_line_is_answered() -> None:
    result = run(["chat", "What is the capital of Japan?"])
    assert result.returncode == 0, result.stderr
    assert "Tokyo" in result.stdout


def test_a_conversation_in_the_terminal_remembers_and_begins_again() -> None:
    lines = ("My name is Paul.", "What is my name?", "/new", "/nonsense", "/quit")
    result = run(["chat"], typed="".join(f"{line}\n" for line in lines))
    assert result.returncode == 0, result.stderr
    assert "Your name is Paul." in result.stdout
    assert "A new conversation." in result.stdout
    assert "/nonsense is no command" in result.stdout


def test_an_adapter_that_is_none_is_said_in_one_line(tmp_path: Path) -> None:
    result = run(["--port", "0", "--adapter", f"expert={tmp_path}"])
    assert result.returncode == 1
    assert result.stderr == f"error: {tmp_path} has no adapter_config.json\n"


def test_the_plan_of_the_24b_needs_no_files() -> None:
    result = run(["plan", "mistral-small"])
    assert "23,572,403,200 parameters" in result.stdout
    assert "packed copy, where it fits" in result.stdout


def test_settings_say_where_they_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_PORT", "7999")
    monkeypatch.setenv("COLUMNS", "200")
    result = run(["settings"])
    assert re.search(r"port\s+7999\s+PLAYGROUND_PORT", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--model", "nope"], 1, "'nope' is no catalogue name"),
        (["--quantization", "nf3"], 2, "quantization (--quantization)"),
        (["--port", "99999"], 2, "port (--port)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], status: int, message: str) -> None:
    result = run(arguments)
    assert result.returncode == status
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_port_in_use_is_said_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(["--port", str(taken.getsockname()[1])])
    assert result.returncode == 1
    assert "address already in use" in result.stderr


def test_a_model_folder_without_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    result = run(["--model", str(tmp_path), "--port", "0"])
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr


def test_it_serves_and_leaves_with_status_0_when_told_to(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--home", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        for path in ("/health", "/"):
            with urllib.request.urlopen(found.group() + path, timeout=30) as reply:
                assert reply.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
