"""Scores of a prediction against the wanted answer, and how sure their mean is.

Pure functions of texts and calls; knows no model. Token F1 and the normalization of exact match are
SQuAD's (Rajpurkar et al. 2016, arXiv:1606.05250); calls are compared by their syntax tree, as the
Berkeley Function-Calling Leaderboard does; intervals are percentile bootstraps (Efron 1979).
"""

import difflib
import json
import math
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from playground.protocol import ToolCall
from playground.structured.patterns import matches, matching_time

RESAMPLES = 2_000
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
ARTICLES = re.compile(r"\b(a|an|the)\b")
REGEX_TIMEOUT_S = 0.5
"""For one search in one answer: a pattern may take exponential time."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer to score: text, or tool calls."""

    text: str
    calls: tuple[ToolCall, ...] = ()

    def shown(self) -> str:
        """The answer as a person reads it: its text, or its calls as JSON."""
        if not self.calls:
            return self.text
        calls = [{"name": c.name, "arguments": json.loads(c.arguments)} for c in self.calls]
        return json.dumps(calls, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``rows`` values with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    rows: int


def score(
    prediction: Prediction, wanted: Prediction, *, tools: bool = False, regex: str | None = None
) -> Mapping[str, float]:
    """Return every metric that applies to this row, each from 0 to 1.

    ``tools``: functions were offered. ``regex`` is searched in every answer in text.
    """
    if wanted.calls:
        return {"tool call": float(same_calls(prediction.calls, wanted.calls))}
    scores = {"declines tools": float(not prediction.calls)} if tools else {}
    wanted_json = parsed_json(wanted.text)
    if isinstance(wanted_json, (dict, list)):
        predicted_json = parsed_json(prediction.text)
        scores |= {
            "valid JSON": float(isinstance(predicted_json, (dict, list))),
            "same JSON": float(predicted_json == wanted_json),
        }
    else:
        scores |= {"exact match": float(normalize(prediction.text) == normalize(wanted.text))}
        scores |= {"F1": f1(prediction.text, wanted.text)}
        number = last_number(wanted.text)
        if number is not None:
            scores["number"] = float(last_number(prediction.text) == number)
    if regex:
        scores["regex"] = 0.0
        with suppress(TimeoutError):
            scores["regex"] = float(regex_found(regex, prediction.text))
    return scores


def regex_found(pattern: str, text: str) -> bool:
    """Whether the pattern is somewhere in the text. Raises `TimeoutError` after
    `REGEX_TIMEOUT_S`."""
    with matching_time(REGEX_TIMEOUT_S):
        return matches(pattern, text)


def f1(prediction: str, wanted: str) -> float:
    """Harmonic mean of precision and recall over words."""
    predicted_words, wanted_words = normalize(prediction).split(), normalize(wanted).split()
    if not predicted_words or not wanted_words:
        return float(predicted_words == wanted_words)
    shared = sum((Counter(predicted_words) & Counter(wanted_words)).values())
    return 2 * shared / (len(predicted_words) + len(wanted_words))


def word_cosine(prediction: str, wanted: str) -> float:
    """Cosine of the angle between the texts' word counts; no embedding is asked."""
    a, b = Counter(normalize(prediction).split()), Counter(normalize(wanted).split())
    if not a or not b:
        return float(a == b)
    product = sum(a[word] * b[word] for word in a.keys() & b.keys())
    # The root of the product of whole numbers: equal texts have exactly 1.
    squares = sum(n * n for n in a.values()) * sum(n * n for n in b.values())
    return product / math.sqrt(squares)


def character_ratio(prediction: str, wanted: str) -> float:
    """Share of characters in matching blocks (Ratcliff and Obershelp, Python's difflib)."""
    return difflib.SequenceMatcher(None, prediction, wanted, autojunk=False).ratio()


def last_number(text: str) -> float | None:
    """Return the last number in a text, in which worked answers end."""
    numbers = NUMBER.findall(text)
    return float(numbers[-1].replace(",", "")) if numbers else None


def normalize(text: str) -> str:
    """Lower case, without punctuation, English articles and repeated spaces."""
    words = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", words).split())


def parsed_json(text: str) -> object:
    """Return the value in a text that is JSON; None for any other text."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def same_calls(calls: Sequence[ToolCall], wanted: Sequence[ToolCall]) -> bool:
    """Same functions with same arguments, in any order."""
    return sorted(map(_syntax_tree, calls)) == sorted(map(_syntax_tree, wanted))


def _syntax_tree(call: ToolCall) -> str:
    return json.dumps([call.name, json.loads(call.arguments)], sort_keys=True)


def estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """Return mean and interval of some values; all nan if there are none."""
    if not values:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    array = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(array[drawn].mean(axis=1), (2.5, 97.5))
    return Estimate(float(array.mean()), float(low), float(high), len(array))


def difference(new: Sequence[float], old: Sequence[float], seed: int = 0) -> Estimate:
    """Return mean and interval of the paired difference: the rows are the same in both."""
    return estimate([a - b for a, b in zip(new, old, strict=True)], seed)
