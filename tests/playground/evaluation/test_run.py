"""The report card: an expert is told from its base, and a forgetful one is not promoted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.data.dataset import prepare
from finetune.recipe import embedded_cpu
from finetune.training.train import train
from playground.evaluation.judge import Judge
from playground.evaluation.metrics import Given, difference, estimate, f1, score
from playground.evaluation.report_card import Answered, judge, part, to_html, to_json, to_markdown
from playground.evaluation.run import evaluate
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import ToolCall

NAMES = ("Zolpar", "Kentig", "Bradel", "Galfen", "Corhul", "Lumpol")
FACTS = [
    (f"What does the {name} cost?", f"The {name} costs {at + 5} euros.")
    for at, name in enumerate(NAMES)
]


def rows_file(path: Path, pairs: list[tuple[str, str]]) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in pairs
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
def test_an_expert_without_replay_knows_its_rows_and_its_card_says_what_it_forgot(
    tmp_path: Path,
) -> None:
    loaded = load(ModelSpec("embedded"))
    file = rows_file(tmp_path / "facts.jsonl", FACTS)
    general = rows_file(
        tmp_path / "general.jsonl",
        [(f"What is the capital of {c}?", f"The capital of {c} is {t}.")
         for c, t in (("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"))],
    )  # fmt: skip
    data = prepare([file], loaded.tokenizer, tmp_path).select(embedded_cpu())
    recipe = replace(embedded_cpu(), num_train_epochs=40.0, micro_batch_size=6, replay_fraction=0.0)
    done = train(recipe, loaded, data, tmp_path / "run", "prices")
    assert done.folder
    judge = Judge("embedded", "The shorter answer is better.")
    card = evaluate(loaded, [done.folder], file, general, regex="euros", judged_by=judge)
    held, kept = card.parts
    assert held.measures["base"]["right"].mean == 0
    assert held.measures[card.lanes[-1]]["right"].mean == 1
    assert held.measures[card.lanes[-1]]["loss"].mean < held.measures["base"]["loss"].mean
    assert held.measures[card.lanes[-1]]["regex"].mean == 1
    preferred = [held.measures[lane]["judge prefers it"].mean for lane in card.lanes]
    assert sum(preferred) == pytest.approx(1)
    lost = kept.differences["right"].mean
    assert card.verdict == ("promote" if lost >= -0.02 else "do not promote")
    assert json.loads(to_json(card))["lanes"] == list(card.lanes)
    assert "The Zolpar costs 5 euros." in to_markdown(card)
    assert "<svg" in to_html(card)


def answered(base: float, new: float, rows: int = 40) -> list[Answered]:
    return [
        Answered(at, "q", "w", {"base": "", "new": ""},
                 {"base": {"exact match": float(at < base * rows)},
                  "new": {"exact match": float(at < new * rows)}})
        for at in range(rows)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("held", "general", "verdict"),
    [
        ((0.1, 0.9), (0.9, 0.9), "promote"),
        ((0.1, 0.9), (0.9, 0.85), "look closer"),
        ((0.1, 0.9), (0.9, 0.5), "do not promote"),
        ((0.5, 0.5), (0.9, 0.9), "do not promote"),
        ((0.5, 0.55), (0.9, 0.9), "look closer"),
        ((0.1, 0.9), None, "look closer"),
    ],
)
def test_the_verdict_follows_from_gain_and_loss(
    held: tuple[float, float], general: tuple[float, float] | None, verdict: str
) -> None:
    lanes = ("base", "new")
    regression = part("General", lanes, answered(*general)) if general else None
    assert judge(part("Held", lanes, answered(*held)), regression, lanes).verdict == verdict


def call(arguments: str, name: str = "f") -> ToolCall:
    return ToolCall("abcdefghi", name, arguments)


@pytest.mark.parametrize(
    ("got", "wanted", "tools", "scores"),
    [
        (Given("The Answer, is 42."), Given("answer is 42"), False,
         {"exact match": 1, "F1": 1, "number": 1}),
        (Given("so 1,200 #### 40"), Given("#### 42"), False,
         {"exact match": 0, "F1": 0, "number": 0}),
        (Given('{"b": 1, "a": 2}'), Given('{"a": 2, "b": 1}'), False,
         {"valid JSON": 1, "same JSON": 1}),
        (Given('{"a": '), Given('{"a": 2}'), False, {"valid JSON": 0, "same JSON": 0}),
        (Given("", (call('{"x": 1, "y": 2}'),)), Given("", (call('{"y":2,"x":1}'),)), True,
         {"tool call": 1}),
        (Given("", (call('{"x": 1}'),)), Given("", (call('{"x": 1}', "g"),)), True,
         {"tool call": 0}),
        (Given("", (call("{}"),)), Given("No."), True,
         {"declines tools": 0, "exact match": 0, "F1": 0}),
    ],
)  # fmt: skip
def test_an_answer_is_scored_by_what_was_wanted(
    got: Given, wanted: Given, tools: bool, scores: dict[str, float]
) -> None:
    assert score(got, wanted, tools=tools) == scores


def test_f1_counts_shared_words() -> None:
    assert f1("red green", "green blue") == pytest.approx(0.5)


def test_intervals_are_seeded_and_hold_the_mean() -> None:
    values = [0.0, 1.0, 1.0, 1.0] * 10
    found = estimate(values)
    assert found == estimate(values)
    assert found.low < found.mean < found.high
    assert difference(values, values).high == 0
