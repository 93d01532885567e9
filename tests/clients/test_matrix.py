"""What counts as expected in the client matrix, and what its page shows."""

import sys
from pathlib import Path

import pytest

from clients.matrix import MEMBERS, Member, Outcome, run_member
from clients.table import page

ROOT = Path(__file__).parents[2]
PASSED = Outcome("first", "1.0", "chat", True, "", "", 0.1)
FAULTY = Outcome("second", "2.0", "tools", False, "it has none", "AttributeError", 0.1)


@pytest.mark.parametrize(
    ("passed", "fault", "expected"),
    [(True, "", True), (False, "", False), (False, "its own", True), (True, "its own", False)],
)
def test_a_reason_has_to_hold(passed: bool, fault: str, expected: bool) -> None:
    assert Outcome("a", "1", "chat", passed, fault, "", 0.0).expected is expected


def test_page_counts_and_names_reasons() -> None:
    text = page([PASSED, FAULTY])
    assert "**2 pairs tried, 1 passed**, with 2 clients." in text
    assert "| chat | ✓ |  |" in text
    assert "| tools |  | ✗ |" in text
    assert "- second, tools: it has none" in text


def test_every_member_has_a_module() -> None:
    suffixes = {True: "node/{}.mjs", False: "{}.py"}
    named = [suffixes[member.environment == "node"].format(member.module) for member in MEMBERS]
    assert all((ROOT / "clients" / name).exists() for name in named)


@pytest.mark.slow
def test_a_client_that_breaks_is_an_outcome(tmp_path: Path) -> None:
    binaries = tmp_path / "empty" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (outcome,) = run_member(Member("nobody_client", "empty"), tmp_path, "http://127.0.0.1:1")
    assert not outcome.expected
    assert "nobody_client" in outcome.error
