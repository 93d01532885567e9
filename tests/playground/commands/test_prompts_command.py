"""`playground prompts`: list, show, export, import."""

from pathlib import Path

import pytest

from playground.cli import cli
from playground.errors import InvalidRequest, UnknownPrompt
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    prompts = Prompts(tmp_path)
    for text in ("Hi {{ name }}", "Hello {{ name }}"):
        content = PromptContent.from_json({"messages": [{"role": "user", "content": text}]})
        save = prompts.save if prompts.exists("greet") else prompts.create
        save("greet", content, f"Say {text[:2]}")
    prompts.label("greet", "production", 1)
    prompts.close()
    return tmp_path


def run(*words: str) -> None:
    cli(["prompts", *words], standalone_mode=False)


def test_prompts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run("list")
    row = next(line for line in capsys.readouterr().out.splitlines() if "greet" in line)
    assert "production v1" in row
    assert "Say He" in row


def test_version_is_shown_and_compared(capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "greet")
    assert "greet v1 (production)" in capsys.readouterr().out
    run("show", "greet", "--version", "latest", "--diff", "production")
    assert "+  content: Hello {{ name }}" in capsys.readouterr().out
    with pytest.raises(UnknownPrompt):
        run("show", "greet", "--version", "7")


def test_exported_file_is_imported(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("export")
    file = home / "prompts.yaml"
    file.write_text(capsys.readouterr().out)
    monkeypatch.setenv("PLAYGROUND_HOME", str(home / "other"))
    run("import", str(file))
    assert capsys.readouterr().out == "greet: v1, v2\n"
    run("export", "greet")
    assert capsys.readouterr().out == file.read_text()
    with pytest.raises(InvalidRequest, match="cannot be read"):
        run("import", str(home / "nothing.yaml"))
