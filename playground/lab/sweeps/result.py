"""The result of a sweep: one JSON object with cells, answers and comparisons, and what is read off
it: cells by score, two cells compared, the worst answers as training rows.

Page, API and command line give the same one. Knows no backend and no page.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median

from playground.errors import InvalidRequest
from playground.evaluation.metrics import Estimate, estimate
from playground.evaluation.significance import PairedComparison, compare
from playground.lab.sweeps.answers_file import Key, SweepAnswer
from playground.lab.sweeps.definition import Cell, Sweep, SweepRow
from playground.lab.sweeps.prompting import messages_for
from playground.protocol import Provenance
from playground.protocol.json_types import Json, JsonObject

FORMAT = "playground.sweep/1"
PASS = 1.0 - 1e-9
"""An answer passes if every grader gives it all."""


class SweepResult:
    """A sweep with its answers; some may be missing while it runs. ``figures`` are lm-eval's, of
    a sweep of its tasks."""

    def __init__(
        self,
        sweep: Sweep,
        answers: Mapping[Key, SweepAnswer],
        weights: Sequence[Provenance] = (),
        figures: Sequence[Json] = (),
    ) -> None:
        self.sweep = sweep
        self.figures = figures
        self.answers = answers
        self.labels = sweep.labels
        self.weights = tuple(weights)
        self._provenance = dict(zip(sweep.models, weights, strict=False))
        self._weights = {
            grader.name: grader.weight
            for graders in (sweep.graders, *(row.graders for row in sweep.rows))
            for grader in graders
        }

    def score(self, answer: SweepAnswer) -> float:
        """Return the weighted mean of an answer's scores."""
        weights = [self._weights.get(name, 1.0) for name in answer.scores]
        total = sum(weights)
        if not total:
            return 0.0
        return sum(w * s for w, s in zip(weights, answer.scores.values(), strict=True)) / total

    def passed(self, answer: SweepAnswer) -> bool:
        """Whether every grader gives it all."""
        return bool(answer.scores) and all(score >= PASS for score in answer.scores.values())

    def of_cell(self, cell: int) -> list[SweepAnswer]:
        """Return a cell's answers, by row. Raises `InvalidRequest` if there is no such cell."""
        if not 0 <= cell < len(self.sweep.cells):
            raise InvalidRequest("cell", f"{cell} is none of 0 to {len(self.sweep.cells) - 1}")
        rows = range(len(self.sweep.rows))
        return [self.answers[cell, row] for row in rows if (cell, row) in self.answers]

    def cell_json(self, cell: Cell) -> JsonObject:
        """Return one cell's figures; times in milliseconds, money in USD."""
        answers = self.of_cell(cell.index)
        by_grader: dict[str, list[float]] = {}
        for answer in answers:
            for name, score in answer.scores.items():
                by_grader.setdefault(name, []).append(score)
        prompt_tokens = sum(answer.prompt_tokens for answer in answers)
        completion_tokens = sum(answer.completion_tokens for answer in answers)
        times = [answer.ms for answer in answers if not answer.error]
        firsts = [answer.first_token_ms for answer in answers if not answer.error]
        return {
            "index": cell.index,
            "label": self.labels[cell.index],
            "prompt": cell.prompt.name,
            "model": cell.model,
            "settings": dict(cell.settings),
            "weights": _weights_json(self._provenance.get(cell.model)),
            "answers": len(answers),
            "errors": sum(bool(answer.error) for answer in answers),
            "passed": sum(map(self.passed, answers)),
            "score": estimate_json(
                estimate([self.score(answer) for answer in answers if answer.scores])
            ),
            "graders": {n: estimate_json(estimate(scores)) for n, scores in by_grader.items()},
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "ms_median": round(median(times), 1) if times else None,
            "first_token_ms_median": round(median(firsts), 1) if firsts else None,
            "cost_usd": round(self.sweep.price.cost_usd(prompt_tokens, completion_tokens), 8),
        }

    def compare(self, first: int, second: int) -> PairedComparison:
        """Compare two cells on the rows that both have answered. Answers that pass or fail are
        counted; where scores lie between, the scores are compared.

        Raises `InvalidRequest` for a cell that is not there, and if no row has both.
        """
        a = {answer.row: answer for answer in self.of_cell(first)}
        b = {answer.row: answer for answer in self.of_cell(second)}
        shared = sorted(a.keys() & b.keys())
        if not shared:
            raise InvalidRequest("cells", f"{first} and {second} have no answered row in common")
        return compare(
            [self.score(a[row]) for row in shared], [self.score(b[row]) for row in shared]
        )

    def as_json(self) -> JsonObject:
        """Return everything, for a file."""
        cells = self.sweep.cells
        ordered = [self.answers[key] for key in sorted(self.answers)]
        total = len(cells) * len(self.sweep.rows)
        return {
            "format": FORMAT,
            "name": self.sweep.name,
            "sweep": self.sweep.as_json(),
            "done": len(ordered),
            "total": total,
            "cells": [self.cell_json(cell) for cell in cells],
            "comparisons": [
                {"cells": [cell.index, 0], **comparison_json(self.compare(cell.index, 0))}
                for cell in cells[1:]
                if len(ordered) == total
            ],
            **({"figures": list(self.figures)} if self.figures else {}),
            "answers": [self.answer_json(answer) for answer in ordered],
        }

    def answer_json(self, answer: SweepAnswer) -> JsonObject:
        """Return an answer with its score and its cost."""
        cost = self.sweep.price.cost_usd(answer.prompt_tokens, answer.completion_tokens)
        return answer.as_json() | {
            "score": round(self.score(answer), 6),
            "passed": self.passed(answer),
            "cost_usd": round(cost, 8),
        }

    def worst(self, cell: int, most: int) -> list[SweepAnswer]:
        """Return a cell's worst answers that are not all right, the worst first."""
        answers = [answer for answer in self.of_cell(cell) if not self.passed(answer)]
        return sorted(answers, key=lambda answer: (self.score(answer), answer.row))[:most]

    def training_rows(self, cell: int, most: int) -> tuple[list[JsonObject], int]:
        """Make training rows of a cell's worst answers, with the right answer in their place: the
        one that the row expects, or else one of another cell that passes.

        Returns the rows, which ``finetune check`` takes, and how many have no right answer.
        """
        if self.sweep.tasks:
            raise InvalidRequest("sweep", "rows of a benchmark are not to be trained on")
        rows, without = [], 0
        for answer in self.worst(cell, most):
            row = self.sweep.rows[answer.row]
            right = self._right_answer(row, answer.row)
            if right is None:
                without += 1
                continue
            prompt = self.sweep.cells[cell].prompt
            asked = [dict(each.to_openai()) for each in messages_for(prompt, row)]
            made: JsonObject = {"messages": [*asked, right]}
            tools = prompt.tools or row.tools
            rows.append(made | ({"tools": [tool.to_openai() for tool in tools]} if tools else {}))
        return rows, without

    def _right_answer(self, row: SweepRow, number: int) -> JsonObject | None:
        if row.expected_calls:
            calls: list[Json] = [call.to_openai() for call in row.expected_calls]
            return {"role": "assistant", "content": "", "tool_calls": calls}
        if row.expected:
            return {"role": "assistant", "content": row.expected}
        of_row = (self.answers.get((cell.index, number)) for cell in self.sweep.cells)
        passing = (each for each in of_row if each and self.passed(each) and each.text)
        found = next(passing, None)
        return {"role": "assistant", "content": found.text} if found else None


def to_text(result: JsonObject) -> str:
    """Return a result as the file has it."""
    return json.dumps(result, indent=1, ensure_ascii=False) + "\n"


def rows_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def estimate_json(value: Estimate) -> JsonObject:
    """Return an estimate; figures that are not known are null."""
    figures = {"mean": value.mean, "low": value.low, "high": value.high}
    shown: JsonObject = {
        name: None if math.isnan(figure) else round(figure, 6) for name, figure in figures.items()
    }
    return shown | {"rows": value.rows}


def comparison_json(value: PairedComparison) -> JsonObject:
    """Return a comparison of two cells."""
    return {
        "difference": estimate_json(value.difference),
        "better": value.better,
        "worse": value.worse,
        "p_value": round(value.p_value, 6),
        "test": value.test,
    }


def _weights_json(provenance: Provenance | None) -> JsonObject:
    if provenance is None:
        return {}
    weights = asdict(provenance)
    return {name: value for name, value in weights.items() if value and name != "settings"}
