"""Tokenizer versions × what holds for each, as a table: the tests' own results.

    python -m benchmarks.versions [--out versions.md]

Runs the tests of `test_mistral_versions` (300 conversations a version and kind of file) and
`test_mistral_calls`, and puts what passed of how many into a cell.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.playground.models.mistral_files import KINDS

FILES = (
    "tests/playground/models/test_mistral_versions.py",
    "tests/playground/structured/test_mistral_calls.py",
)
OPTIONS = (
    *("-q", "--no-header", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # pytest runs in a process with imports
)
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "token parity": ("test_prompts_equal_mistral_common",),
    "calls in prompt": ("test_calls_go_back_as_history",),
    "grammar": ("test_call_has_the_form_of_its_version", "test_schema_holds"),
    "stream": ("test_stream_and_whole_have_the_same_calls",),
    "reasoning": ("test_thinking_is_reasoning",),
    "training": (
        "test_answers_equal_what_mistral_common_trains",
        "test_training_row_renders_the_prompt_and_the_answer",
    ),
}
MODELS: Mapping[str, str] = {
    "v1 pieces": "7B v0.1",
    "v2 pieces": "Small and Large of early 2024",
    "v3 pieces": "7B v0.3, Mixtral 8x22B",
    "v7 pieces": "Large 2411",
    "v3": "Nemo, Ministral 8B (2410)",
    "v7": "Small 3, Small 3.1",
    "v11": "Small 3.2, Devstral Small 1.1",
    "v13": "Magistral, Devstral Small 2, Ministral 3",
    "v15": "those with model settings",
}


class Results:
    """A pytest plugin that counts outcomes by column and kind of file."""

    def __init__(self) -> None:
        self.passed: Counter[tuple[str, str]] = Counter()
        self.all: Counter[tuple[str, str]] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test's call, or the setup that failed before it."""
        if report.when != "call" and report.passed:
            return
        name, _, rest = report.nodeid.rpartition("::")[2].partition("[")
        parameters = rest.rstrip("]")
        kind = max((kind for kind in KINDS if _names(parameters, kind)), key=len, default="")
        for column, tests in COLUMNS.items():
            if name in tests and kind:
                self.all[column, kind] += 1
                self.passed[column, kind] += report.passed

    def cell(self, column: str, kind: str) -> str:
        """Say how many passed, of those that the version has."""
        count = self.all[column, kind]
        return f"{self.passed[column, kind]} of {count}" if count else "–"


def _names(parameters: str, kind: str) -> bool:
    return (
        parameters == kind or parameters.startswith(f"{kind}-") or parameters.endswith(f"-{kind}")
    )


def main() -> None:
    """Run the tests and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    flags = parser.parse_args()
    results = Results()
    pytest.main([*OPTIONS, *FILES], plugins=[results])
    lines = [
        "| version | file | models | " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * (3 + len(COLUMNS)),
    ]
    for kind in MODELS:
        version, _, pieces = kind.partition(" ")
        cells = [results.cell(column, kind) for column in COLUMNS]
        file = "SentencePiece" if pieces else "Tekken"
        lines.append(f"| {version} | {file} | {MODELS[kind]} | {' | '.join(cells)} |")
    print("\n".join(lines))
    if flags.out:
        flags.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
