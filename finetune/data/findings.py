"""What is found in files of rows: errors and notes, one for each kind with its count and places."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

RowErrorCode = Literal["unreadable", "format", "template", "too_long"]
"""``unreadable``: no record there. ``format``: no row of a known format. ``template``: the chat
template refuses it. ``too_long``: more tokens than the recipe's ``max_length``."""
FindingCode = RowErrorCode | Literal["note"]
SHOWN_LINES = 5
_NUMBER = re.compile(r"\d[\d,]*")


@dataclass(frozen=True, slots=True)
class RowError:
    """A record that cannot be trained on, and what to do about it. ``line`` counts from 1."""

    file: str
    line: int
    field: str
    problem: str
    code: RowErrorCode = "format"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of error or note: how many rows have it, and the lines of the first of them."""

    file: str
    field: str
    problem: str
    code: FindingCode
    count: int
    lines: tuple[int, ...]

    @property
    def places(self) -> str:
        """Count and first lines, for people."""
        lines = ", ".join(f"{line:,}" for line in self.lines)
        more = self.count - len(self.lines)
        return f"{self.count:,} rows: lines {lines}" + (f" and {more:,} more" if more else "")

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.file}:{self.lines[0]}: {self.field}: {self.problem}"
        return f"{self.file}: {self.field}: {self.problem} ({self.places})"


class Findings:
    """Collects findings; memory grows with their kinds and not with the rows."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str, str], Finding] = {}

    def add(
        self,
        file: str,
        line: int,
        field: str,
        problem: str,
        code: FindingCode = "note",
    ) -> None:
        """Count a finding; those that differ in numbers only are of one kind."""
        kind = (file, _NUMBER.sub("", field), _NUMBER.sub("0", problem), code)
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = Finding(file, field, problem, code, 1, (line,))
            return
        lines = known.lines
        if len(lines) < SHOWN_LINES and lines[-1] != line:
            lines = (*lines, line)
        self._kinds[kind] = Finding(
            file, _NUMBER.sub("", known.field), known.problem, code, known.count + 1, lines
        )

    def extend(self, later: "Findings") -> None:
        """Add what was found after these."""
        for kind, finding in later._kinds.items():
            known = self._kinds.get(kind)
            if known is not None:
                lines = tuple(dict.fromkeys((*known.lines, *finding.lines)))[:SHOWN_LINES]
                field = _NUMBER.sub("", known.field)
                count = known.count + finding.count
                finding = replace(known, field=field, count=count, lines=lines)
            self._kinds[kind] = finding

    def all(self) -> tuple[Finding, ...]:
        """Every kind, in the order in which they were found."""
        return tuple(self._kinds.values())


def grouped(errors: Iterable[RowError]) -> tuple[Finding, ...]:
    """Return the kinds of errors."""
    findings = Findings()
    for error in errors:
        findings.add(error.file, error.line, error.field, error.problem, error.code)
    return findings.all()
