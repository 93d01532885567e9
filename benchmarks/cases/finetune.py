"""Files of training rows that people really have, and what is right for each.

    python -m benchmarks.cases.finetune FOLDER

Checks every ``d*`` file of the folder as `finetune check` does, with the embedded model's
tokenizer, and prints how many were tried and how many were understood, or refused, as they should
be. A file's name begins with its key in `RIGHT`.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from finetune.data.dataset import prepare
from finetune.data.examples import MASKED, TrainingExample
from finetune.data.formats import read_columns
from finetune.recipe import Recipe, embedded_cpu
from finetune.report import DataReport, report
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.models.tokenizer import ChatTokenizer

MAPPING = "--columns "


@dataclass(frozen=True, slots=True)
class Checked:
    """A file's report, and the text that training on it would learn and show."""

    report: DataReport
    learned: str
    shown: str
    advised: DataReport | None = None
    """The report with the mapping of columns that an error advised."""

    @property
    def said(self) -> str:
        """Every line that `finetune check` prints of errors, notes and problems."""
        found = (*self.report.errors, *self.report.notes, *self.report.problems)
        return "\n".join(map(str, found))


Check = Callable[[Checked], str]
"""Says what is wrong; empty if nothing is."""


def rows(number: int) -> Check:
    """So many rows are trained on."""

    def check(got: Checked) -> str:
        found = got.report.rows
        return "" if found == number else f"{found} rows instead of {number}: {got.said[:200]}"

    return check


def pairs(number: int) -> Check:
    """So many of them are preferences."""
    return lambda got: "" if got.report.pairs == number else f"{got.report.pairs} preferences"


def labelled(good: int, bad: int) -> Check:
    """So many answers are labelled good and bad."""
    found = (good, bad)
    return lambda got: "" if got.report.labels == found else f"labels {got.report.labels}"


def clean(got: Checked) -> str:
    """Nothing is said."""
    return got.said


def learns(*texts: str) -> Check:
    """These texts are learned."""
    return lambda got: _missing(texts, got.learned)


def learns_no(text: str) -> Check:
    """This text is not learned."""
    return lambda got: f"learns {text!r}" if text in got.learned else ""


def shows(*texts: str) -> Check:
    """These texts are in what the model sees, learned or not."""
    return lambda got: _missing(texts, got.shown)


def says(*words: str) -> Check:
    """These words are said."""
    return lambda got: _missing(words, got.said)


def one_fault(got: Checked) -> str:
    """One line of errors, however many rows."""
    return "" if len(got.report.errors) == 1 else f"{len(got.report.errors)} kinds of errors"


def mapped(number: int) -> Check:
    """With the mapping that is advised, so many rows are trained on."""

    def check(got: Checked) -> str:
        found = got.advised.rows if got.advised else 0
        return "" if found == number else f"{found} rows with the advised mapping"

    return check


def _missing(texts: Sequence[str], where: str) -> str:
    missing = [text for text in texts if text not in where]
    return f"{missing} not in {where[:200]!r}" if missing else ""


SIX = "Gate 4, from 6."
RIGHT: Mapping[str, Sequence[Check]] = MappingProxyType(
    {
        "d01": (rows(1), learns("opens at 7"), learns_no("never opens"), shows("never opens")),
        "d03": (rows(2), labelled(1, 1), says("--set method=kto")),
        "d06": (rows(1), pairs(1), learns("The yard master signs.", "Nobody.")),
        "d08": (rows(1), pairs(1), learns("The yard master.", "Nobody."), learns_no("permit")),
        "d10": (rows(1), pairs(1), shows("You are terse."), learns("Nobody.")),
        "d11": (rows(1), clean, shows("You answer for the yard office only.")),
        "d13": (rows(0), says("images", "not trained")),
        "d16": (rows(1), clean, learns('"P1"}}, {"name"', "P2 is lost.")),
        "d19": (rows(1), clean, learns('{"parcel": "P1"}', "It is sorted.")),
        "d20": (rows(1), clean, shows('"required": ["parcel"]')),
        "d23": (rows(1), clean, learns("From 6.")),
        "d25": (rows(0), says("conversations[0]", "no question")),
        "d26": (rows(0), says("messages[3]", "two answers in a row")),
        "d35": (rows(2), clean, learns("The yard master; before noon.", SIX)),
        "d36": (rows(1), says("Windows-1252"), learns("Um 6 – täglich.")),
        "d38": (rows(0), one_fault, says(f"{MAPPING}Question=prompt,Answer=completion"), mapped(2)),
        "d40": (rows(2), clean, learns("The yard master; before noon.", SIX)),
        "d41": (rows(2), clean, learns("The yard master; before noon.", SIX)),
        "d43": (rows(1), clean, learns("täglich")),
        "d44": (rows(0), one_fault, says("zip archive")),
        "d45": (rows(0), one_fault, says("Excel workbook")),
        "d48": (rows(2), learns("täglich")),
        "d50": (rows(2), learns("täglich")),
        "d54": (rows(1), clean, learns("The yard master.")),
        "d55": (rows(0), one_fault, says("context=input"), mapped(1)),
        "d56": (rows(0), one_fault, says(f"{MAPPING}question=prompt"), mapped(1)),
        "d59": (rows(2), says("tags of a chat template", "2 rows")),
        "d61": (rows(0), one_fault, says("text: not valid Unicode")),
        "d65": (rows(4), says("1 of 4 rows do not fit sft", "method=dpo")),
        "d66": (rows(8), pairs(8), says("8 of 8 rows do not fit sft", "method=dpo")),
        "d71": (rows(1), clean, shows("state", "sorted"), learns("Sorted.")),
        "d85": (rows(2), clean, learns('{"parcel": "P1"}')),
    }
)


def check_file(path: Path, tokenizer: ChatTokenizer, home: Path) -> Checked:
    """Check a file as `finetune check` does, with the default recipe."""
    recipe = replace(embedded_cpu(), eval_fraction=0.0)
    dataset = prepare([path], tokenizer, home)
    found = report(dataset, recipe)
    learned: list[bytes] = []
    shown: list[bytes] = []
    for example in dataset.select(recipe).train:
        parts = example.to_examples() if not isinstance(example, TrainingExample) else (example,)
        for part in parts:
            shown += map(tokenizer.token_bytes, part.token_ids)
            learned += (tokenizer.token_bytes(id_) for id_ in part.labels if id_ != MASKED)
    advised = _advised(path, found, tokenizer, home, recipe)
    return Checked(found, _text(learned), _text(shown), advised)


def _text(tokens: Sequence[bytes]) -> str:
    return b"".join(tokens).decode("utf-8", "replace")


def _advised(
    path: Path, found: DataReport, tokenizer: ChatTokenizer, home: Path, recipe: Recipe
) -> DataReport | None:
    advice = [error.problem for error in found.errors if MAPPING in error.problem]
    if not advice:
        return None
    columns = read_columns(advice[0].partition(MAPPING)[2])
    return report(prepare([path], tokenizer, home, columns=columns), recipe)


def problem_of(path: Path, tokenizer: ChatTokenizer, home: Path) -> str:
    """What is wrong with a file's check; empty if nothing is."""
    checks = RIGHT.get(path.name.partition("_")[0])
    if checks is None:
        return "nothing is known of it"
    try:
        got = check_file(path, tokenizer, home)
    except Exception as error:  # noqa: BLE001 — a traceback is what the cases look for
        return repr(error)
    return next((complaint for check in checks if (complaint := check(got))), "")


def main() -> None:
    """Exit with 1 if a file is not understood, or refused, as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="files of rows whose names begin with d")
    folder: Path = parser.parse_args().folder
    tokenizer = MistralTokenizer(EMBEDDED_FOLDER)
    files = sorted(folder.glob("d*"))
    right = 0
    with tempfile.TemporaryDirectory() as home:
        for path in files:
            complaint = problem_of(path, tokenizer, Path(home))
            right += not complaint
            if complaint:
                print(f"{path.name}: {complaint[:300]}")
    print(f"{folder}: {len(files)} tried, {right} as they should be")
    sys.exit(right < len(files))


if __name__ == "__main__":
    main()
