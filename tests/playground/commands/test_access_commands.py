"""`playground users` and `keys`: what they print, for people and for programs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from playground.cli import cli


def said(home: Path, *words: str) -> str:
    result = CliRunner().invoke(cli, [*words, "--home", str(home)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_budgets_and_keys_are_told_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said(tmp_path, "users", "add", "ana", "--no-password")
    assert (
        said(tmp_path, "users", "budget", "ana", "--usd-per-day", "5")
        == "budget of ana: USD 5 a day\n"
    )
    secret = said(tmp_path, "keys", "create", "notebook of the whole team", "--user", "ana").strip()
    changed = said(tmp_path, "keys", "budget", secret[:12], "--usd-per-month", "40")
    assert changed == "budget of notebook of the whole team: USD 40 a month\n"
    (row,) = (line for line in said(tmp_path, "keys", "list").splitlines() if "notebook" in line)
    for cell in ("key_", "notebook of the whole team", f"{secret[:12]}", "USD 40 a month", "valid"):
        assert cell in row
    assert "USD 5 a day" in said(tmp_path, "users", "list")
    assert "none of its own" in said(tmp_path, "users", "budget", "ana")
    monkeypatch.setenv("PLAYGROUND_LIMITS__USD_PER_DAY", "3")
    assert "USD 3 a day (default)" in said(tmp_path, "users", "budget", "ana")
    assert "USD 3 a day (default)" in said(tmp_path, "users", "list")
