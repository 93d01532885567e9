"""Finished answers of a sweep, kept as they come: JSON lines, behind a line that says of what.

A process that is killed loses the answers that were being written at that moment, and no other.
Knows no backend.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from playground.errors import Conflict
from playground.files import write_atomic
from playground.lab.sweeps.definition import Sweep
from playground.protocol import Provenance
from playground.protocol.json_types import JsonObject

Key = tuple[int, int]
"""Cell and row, both from 0."""


@dataclass(frozen=True, slots=True)
class SweepAnswer:
    """The answer of one cell to one row. ``scores`` and the ``reasons`` for them are by grader.

    ``ms`` is from the moment that the engine took it until its end, ``first_token_ms`` until its
    first token. With an ``error`` there is no answer, and every score is 0.
    """

    cell: int
    row: int
    text: str = ""
    calls: tuple[Mapping[str, object], ...] = ()
    reasoning: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_ms: float = 0.0
    ms: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def key(self) -> Key:
        """Cell and row."""
        return self.cell, self.row

    def as_json(self) -> JsonObject:
        """Return it without what is empty."""
        return {name: value for name, value in asdict(self).items() if value not in ("", (), {})}


class AnswersFile:
    """The answers of one sweep by the weights that its models stand for; open it with `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[Key, SweepAnswer] = {}

    @classmethod
    def open(cls, path: Path, sweep: Sweep, weights: Sequence[Provenance]) -> Self:
        """Read what is there already; a file of another sweep is begun anew.

        Raises `Conflict` if a model stands for other weights now than when the sweep began.
        """
        file = cls(path)
        header = {"sweep": sweep.content_hash, "weights": [asdict(each) for each in weights]}
        known = file.read()
        file.cut_broken_line()
        if known is None or known.get("sweep") != header["sweep"]:
            file.answers.clear()
            write_atomic(path, json.dumps(header) + "\n")
            return file
        for model, before, now in zip(sweep.models, _weights(known), weights, strict=True):
            if before != now:
                raise Conflict(
                    f"{model} stands for other weights than when this sweep began;"
                    " start it again as a new one"
                )
        return file

    def add(self, answer: SweepAnswer) -> None:
        """Keep a finished answer."""
        line = json.dumps(answer.as_json(), ensure_ascii=False) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode("utf-8", "replace"))
        self.answers[answer.key] = answer

    def cut_broken_line(self) -> None:
        """Remove a last line that a kill cut off."""
        content = self.path.read_bytes() if self.path.exists() else b""
        if content and not content.endswith(b"\n"):
            os.truncate(self.path, content.rfind(b"\n") + 1)

    def read(self) -> JsonObject | None:
        """Read all whole lines; return the first one, or None if there is none."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        whole = content[: content.rfind(b"\n") + 1]
        header: JsonObject | None = None
        for line in whole.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if header is None:
                header = value
            else:
                answer = read_answer(value)
                self.answers[answer.key] = answer
        return header


def read_answers(path: Path) -> tuple[dict[Key, SweepAnswer], tuple[Provenance, ...]]:
    """Return the answers in a file that somebody may be writing, and the weights of the models."""
    file = AnswersFile(path)
    header = file.read()
    return file.answers, tuple(_weights(header or {}))


def read_answer(value: JsonObject) -> SweepAnswer:
    """Read what `SweepAnswer.as_json` made."""
    calls = value.get("calls")
    values = {**value, "calls": tuple(calls) if isinstance(calls, list) else ()}
    return SweepAnswer(**values)  # type: ignore[arg-type]


def _weights(header: JsonObject) -> list[Provenance]:
    weights = header.get("weights")
    return [Provenance.parse(each) for each in weights] if isinstance(weights, list) else []
