"""The command as a person types it: a real process."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import openai
import pytest

from playground.settings import SETTINGS

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


@pytest.mark.slow
def test_chat_answers_argument() -> None:
    result = run(["chat", "What is the capital of Japan?"])
    assert result.returncode == 0, result.stderr
    assert "Tokyo" in result.stdout


@pytest.mark.slow
def test_chat_remembers_until_new() -> None:
    lines = ("My name is Paul.", "What is my name?", "/new", "/nonsense", "/quit")
    result = run(["chat"], typed="".join(f"{line}\n" for line in lines))
    assert result.returncode == 0, result.stderr
    assert "Your name is Paul." in result.stdout
    assert "A new conversation." in result.stdout
    assert "/nonsense is no command" in result.stdout


@pytest.mark.slow
def test_serve_names_broken_adapter(tmp_path: Path) -> None:
    result = run(["--port", "0", "--adapter", f"shop={tmp_path}"])
    assert result.returncode == 1
    assert result.stderr == f"error: {tmp_path} has no adapter_config.json\n"


@pytest.mark.slow
def test_plan_24b_needs_no_files() -> None:
    result = run(["plan", "mistral-small"])
    assert "23,572,403,200 parameters" in result.stdout
    assert "packed copy, where it fits" in result.stdout
    assert "training a LoRA adapter" in result.stdout


@pytest.mark.slow
def test_flag_before_command_holds() -> None:
    result = run(["--model", "mistral-small", "plan", "-q", "nf4"])
    assert "23,572,403,200" in result.stdout
    assert "not quantized" not in result.stdout


@pytest.mark.slow
def test_help_is_grouped_and_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run(["--help"])
    assert result.returncode == 0
    for setting in SETTINGS:
        assert f"─ {setting.heading} ─" in result.stdout
        options = re.findall(rf"^│ {setting.flag}\s", result.stdout, re.MULTILINE)
        assert len(options) == 1, setting.flag


@pytest.mark.slow
def test_old_flag_suggests_new_one() -> None:
    result = run(["--training", "low"])
    assert result.returncode == 2
    assert "--training-priority" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["--nonsense"]])
def test_usage_needs_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom playground.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'transformers', 'gradio') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_settings_command_shows_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_SERVER__PORT", "7999")
    monkeypatch.setenv("COLUMNS", "200")
    result = run(["--api-key", "sesame", "settings", "--no-drafts"])
    assert re.search(r"server.port\s+7999\s+PLAYGROUND_SERVER__PORT", result.stdout)
    assert re.search(r"engine.drafts\s+False\s+--no-drafts", result.stdout)
    assert re.search(r"access.api_key\s+\(set\)\s+--api-key", result.stdout)
    assert "sesame" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["--model", "nope"], 1, "'nope' is no catalogue name", marks=pytest.mark.slow),
        (["--quantization", "nf3"], 2, "quantization (--quantization)"),
        (["--port", "99999"], 2, "port (--port)"),
    ],
)
def test_error_is_one_line(arguments: list[str], status: int, message: str) -> None:
    result = run(arguments)
    assert result.returncode == status
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_serve_names_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(["--port", str(taken.getsockname()[1])])
    assert result.returncode == 1
    assert "address already in use" in result.stderr


@pytest.mark.slow
def test_serve_names_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    result = run(["--model", str(tmp_path), "--port", "0"])
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr


@pytest.mark.slow
def test_sigterm_lets_running_answers_end(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--home", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        assert process.stdout.readline().startswith("Ready: model embedded")
        for path in ("/health", "/"):
            assert httpx.get(found.group() + path, timeout=30).status_code == 200
        client = openai.OpenAI(base_url=f"{found.group()}/v1", api_key="any", max_retries=0)
        stream = client.completions.create(
            model="embedded", prompt="Once", max_tokens=600, temperature=0, stream=True,
            extra_body={"ignore_eos": True},
        )  # fmt: skip
        assert next(stream).choices
        process.send_signal(signal.SIGTERM)
        while httpx.get(f"{found.group()}/health").status_code == 200:
            pass
        with pytest.raises(openai.InternalServerError, match="shutting down"):
            client.completions.create(model="embedded", prompt="Once", max_tokens=1)
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"
        assert process.wait(30) == 0
