"""The command as a person types it, in a process of its own: once started from nothing, else forked
from one that has imported it already.
"""

import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import openai
import pytest

from playground.settings import SETTINGS
from tests.playground.conftest import killable_playground
from tests.processes import RunningProcess, playground

COMMAND = (sys.executable, "-c", "from playground.cli import main; main()")


def run(arguments: Sequence[str], typed: str = "") -> RunningProcess:
    process = playground(*arguments, typed=typed)
    assert process.wait(120) is not None
    return process


@pytest.mark.slow
def test_chat_answers_argument() -> None:
    result = subprocess.run(
        [*COMMAND, "chat", "What is the capital of Japan?"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Tokyo" in result.stdout


@pytest.mark.slow
def test_chat_remembers_until_new() -> None:
    lines = ("My name is Paul.", "What is my name?", "/new", "/nonsense", "/quit")
    result = run(["chat"], typed="".join(f"{line}\n" for line in lines))
    assert result.exit_code == 0, result.stderr
    assert "Your name is Paul." in result.stdout
    assert "A new conversation." in result.stdout
    assert "/nonsense is no command" in result.stdout


@pytest.mark.slow
def test_serve_names_broken_adapter(tmp_path: Path) -> None:
    result = run(["--port", "0", "--adapter", f"shop={tmp_path}"])
    assert result.exit_code == 1
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
    assert result.exit_code == 0
    for setting in SETTINGS:
        assert f"─ {setting.heading} ─" in result.stdout
        options = re.findall(rf"^│ {setting.flag}\s", result.stdout, re.MULTILINE)
        assert len(options) == 1, setting.flag


@pytest.mark.slow
def test_old_flag_suggests_new_one() -> None:
    result = run(["--training", "low"])
    assert result.exit_code == 2
    assert "--training-priority" in result.stderr


@pytest.mark.slow
def test_usage_needs_no_torch() -> None:
    code = (
        "import sys\nfrom playground.cli import main\n"
        "for typed in (['--help'], ['plan', '--help'], ['--nonsense']):\n"
        "    sys.argv[1:] = typed\n"
        "    try:\n        main()\n    except SystemExit as end:\n        print(end.code)\n"
        "    print([name for name in ('torch', 'transformers', 'gradio') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    printed = [line for line in result.stdout.splitlines() if line in ("0", "2", "[]")]
    assert printed == ["0", "[]", "0", "[]", "2", "[]"]


@pytest.mark.slow
def test_settings_command_shows_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_SERVER__PORT", "7999")
    monkeypatch.setenv("COLUMNS", "200")
    result = run(["--api-key", "sesame", "settings", "--no-drafts"])
    assert re.search(r"server.port\s+7999\s+PLAYGROUND_SERVER__PORT", result.stdout)
    assert re.search(r"engine.drafts\s+False\s+--no-drafts", result.stdout)
    assert re.search(r"access.api_key\s+\(set\)\s+--api-key", result.stdout)
    assert "sesame" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--model", "nope"], 1, "'nope' is no catalogue name"),
        (["--quantization", "nf3"], 2, "quantization (--quantization)"),
        (["--port", "99999"], 2, "port (--port)"),
    ],
)
def test_error_is_one_line(arguments: list[str], status: int, message: str) -> None:
    result = run(arguments)
    assert result.exit_code == status
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_serve_names_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "address already in use" in result.stderr


@pytest.mark.slow
def test_serve_names_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    result = run(["--model", str(tmp_path), "--port", "0"])
    assert result.exit_code == 1
    assert str(tmp_path) in result.stderr


@pytest.mark.slow
def test_sigterm_lets_running_answers_end(tmp_path: Path) -> None:
    with killable_playground(tmp_path) as (url, process):
        assert "\nReady: model embedded" in process.stdout
        for path in ("/health", "/"):
            assert httpx.get(url + path, timeout=30).status_code == 200
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            stream = client.completions.create(
                model="embedded", prompt="Once", max_tokens=600, temperature=0, stream=True,
                extra_body={"ignore_eos": True},
            )  # fmt: skip
            assert next(stream).choices
            process.terminate()
            while httpx.get(f"{url}/health").status_code == 200:
                pass
            with pytest.raises(openai.InternalServerError, match="shutting down"):
                client.completions.create(model="embedded", prompt="Once", max_tokens=1)
            assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"
        assert process.wait(30) == 0
