"""`finetune check`: what it prints of files of rows."""

import sys
from pathlib import Path

import pytest

from finetune.cli import main


def check(folder: Path, **files: str) -> int:
    """Check files of these names and texts; returns the command's exit status."""
    paths = [folder / f"{name}.csv" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    sys.argv = ["finetune", "--home", str(folder / "home"), "check", *map(str, paths)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(autouse=True)
def home_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `finetune --home` found it."""
    monkeypatch.setenv("PLAYGROUND_HOME", "")


def test_rows_that_repeat_one_share_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "prompt,completion\nGate?,Four\nGate?,Four\nPier?,Two\nGate?,Four\n"
    assert check(tmp_path, gates=text) == 0
    assert "lines 3, 5 repeat line 2\n" in capsys.readouterr().out


def test_a_repeat_in_another_file_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "prompt,completion\nGate?,Four\n"
    assert check(tmp_path, one=text, two=text) == 0
    assert "two.csv:2 repeats one.csv:2\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "prompt,completion\n"])
def test_a_file_without_rows_is_called_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert check(tmp_path, rows=text) == 1
    assert capsys.readouterr().err == "error: there are no rows in these files\n"
