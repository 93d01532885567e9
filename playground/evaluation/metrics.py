"""What an answer is worth beside the wanted one, and how sure a mean is.

Pure functions of texts and calls; knows no model. Token F1 and the normalisation of exact match are
SQuAD's (Rajpurkar et al. 2016, arXiv:1606.05250); calls are compared by their syntax tree, as the
Berkeley Function-Calling Leaderboard does; intervals are percentile bootstraps (Efron 1979).
"""

import json
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from playground.protocol import ToolCall

RESAMPLES = 2_000
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True, slots=True)
class Given:
    """An answer: text, or calls."""

    text: str
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``rows`` values with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    rows: int


def score(
    got: Given, wanted: Given, *, tools: bool = False, regex: str | None = None
) -> Mapping[str, float]:
    """Every measure that applies to this row, 0 to 1.

    ``tools``: functions were offered. ``regex`` is searched in every answer in text.
    """
    if wanted.calls:
        return {"tool call": float(_same_calls(got.calls, wanted.calls))}
    scores = {"declines tools": float(not got.calls)} if tools else {}
    structure = _json(wanted.text)
    if isinstance(structure, (dict, list)):
        found = _json(got.text)
        scores |= {
            "valid JSON": float(isinstance(found, (dict, list))),
            "same JSON": float(found == structure),
        }
    else:
        scores |= {"exact match": float(_plain(got.text) == _plain(wanted.text))}
        scores |= {"F1": f1(got.text, wanted.text)}
        number = last_number(wanted.text)
        if number is not None:
            scores["number"] = float(last_number(got.text) == number)
    if regex:
        scores["regex"] = float(bool(re.search(regex, got.text)))
    return scores


def f1(got: str, wanted: str) -> float:
    """Harmonic mean of precision and recall over words."""
    ours, theirs = _plain(got).split(), _plain(wanted).split()
    same = sum((Counter(ours) & Counter(theirs)).values())
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * same / (len(ours) + len(theirs))


def last_number(text: str) -> float | None:
    """The last number in a text: what a worked answer ends in."""
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def _plain(text: str) -> str:
    """Lower case, without punctuation, English articles and double spaces."""
    spelled = "".join(each for each in text.lower() if each not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", spelled).split())


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _same_calls(got: Sequence[ToolCall], wanted: Sequence[ToolCall]) -> bool:
    """Same functions with same arguments, in any order."""
    left = [_tree(call) for call in got]
    return sorted(left) == sorted(map(_tree, wanted))


def _tree(call: ToolCall) -> str:
    return json.dumps([call.name, json.loads(call.arguments)], sort_keys=True)


def estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """Mean and interval of some values; all nan if there are none."""
    if not values:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    array = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[drawn].mean(axis=1), (2.5, 97.5))
    return Estimate(float(array.mean()), float(low), float(high), len(array))


def difference(new: Sequence[float], old: Sequence[float], seed: int = 0) -> Estimate:
    """Mean and interval of the difference, row by row: the rows are the same in both."""
    return estimate([a - b for a, b in zip(new, old, strict=True)], seed)
