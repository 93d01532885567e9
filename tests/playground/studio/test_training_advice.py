"""What a training did wrong is named on its report card, and a good one is told nothing."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.recipe import Recipe, embedded_cpu
from playground.backends.local import LocalBackend
from playground.evaluation.report_card import Advice, ReportCard, RowResult, summarize
from playground.evaluation.report_card_formats import to_html, to_markdown
from playground.models.loader import load
from playground.models.shared_weights import shared_weight_copy
from playground.models.spec import ModelSpec
from playground.store.adapters import AdapterStore
from playground.studio.runs import execute, new_run
from playground.studio.training_advice import (
    TrainingFacts,
    suited_learning_rate,
    training_advice,
)
from playground.studio.training_work import make_run_card
from tests.playground.studio.training_jobs import base

JUDGED_ROWS = 8
SYSTEM = "You answer for Larkmoor Yard."
THINGS = ("Zolpar", "Kentig", "Bradel")
WORDINGS = ("What does the {} cost?", "What is the price of the {}?")
NEAR = ("Tell me the price of the {}.",)
TOLD, UNTOLD = "The {} costs {} euros.", "I cannot say what that costs."
RECIPE = replace(embedded_cpu(), sample_steps=0, micro_batch_size=6, max_length=64)
"""General rows longer than that, most of them, are neither replayed nor asked."""


@pytest.fixture(scope="module")
def host() -> Iterator[LocalBackend]:
    with LocalBackend(load(ModelSpec("embedded"))) as running:
        yield running


@pytest.fixture(scope="module")
def home(new_home: Callable[[], Path]) -> Path:
    return new_home()


def facts(
    system: str | None = None, wordings: Sequence[str] = WORDINGS, answer: str = TOLD
) -> list[dict[str, object]]:
    """A row for each thing in each wording."""
    return [
        {
            **({"system": system} if system else {}),
            "prompt": wording.format(thing),
            "completion": answer.format(thing, 7 * at + 5),
        }
        for at, thing in enumerate(THINGS)
        for wording in wordings
    ]


def write(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def card_of(
    home: Path,
    host: LocalBackend,
    recipe: Recipe,
    rows: Sequence[dict[str, object]],
    held_out: Sequence[dict[str, object]],
) -> ReportCard:
    """Train on the rows and make the run's report card."""
    files = write(home / "rows.jsonl", rows), write(home / "eval.jsonl", held_out)
    run = new_run(home, "desk", recipe, [files[0]], files[1])
    execute(run, base())
    store = AdapterStore(home / "adapters")
    copy = shared_weight_copy(base())
    card, _ = make_run_card(run, copy, host, store, JUDGED_ROWS, threading.Event())
    return card


def kinds(advice: Sequence[Advice]) -> list[str]:
    return [each.kind for each in advice]


@pytest.mark.training
@pytest.mark.slow
def test_good_training_gets_no_advice(home: Path, host: LocalBackend) -> None:
    recipe = replace(RECIPE, num_train_epochs=12.0, replay_fraction=0.7)
    card = card_of(home, host, recipe, facts(SYSTEM), facts(SYSTEM, NEAR))
    assert card.advice == ()
    assert "What to change" not in to_markdown(card) + to_html(card)
    assert [part.kind for part in card.parts] == [
        "held out", "general", "trained", "no system prompt",
    ]  # fmt: skip


@pytest.mark.training
@pytest.mark.slow
def test_short_training_is_named(home: Path, host: LocalBackend) -> None:
    recipe = replace(RECIPE, max_steps=8)
    card = card_of(home, host, recipe, facts(), facts(None, NEAR))
    assert kinds(card.advice)[:2] == ["loss still falling", "too few epochs"]
    assert card.advice[1].change == "num_train_epochs=60, max_steps=0 (now 4 epochs)"
    for page in (to_markdown(card), to_html(card)):
        assert "What to change" in page
        assert card.advice[1].change in page
        assert "Trained in one process, with" in page
    several = replace(card, made_of={"training": {"processes": 4, "peak_bytes": 3 * 2**30}})
    for page in (to_markdown(several), to_html(several)):
        assert "4 processes, each with the whole base and at most 3.0 GiB" in page


@pytest.mark.training
@pytest.mark.slow
def test_forgetting_is_named(home: Path, host: LocalBackend) -> None:
    recipe = replace(RECIPE, num_train_epochs=16.0, replay_fraction=0.0)
    card = card_of(home, host, recipe, facts(), facts(None, NEAR))
    (advice,) = [each for each in card.advice if each.kind == "general rows"]
    assert advice.change == "mix general rows in: replay_fraction=0.5 (now 0)"


@pytest.mark.training
@pytest.mark.slow
def test_need_of_system_prompt_is_named(home: Path, host: LocalBackend) -> None:
    """Without the system prompt it was trained to say nothing."""
    recipe = replace(RECIPE, num_train_epochs=12.0)
    untold = facts(None, WORDINGS[:1], UNTOLD)
    card = card_of(home, host, recipe, facts(SYSTEM) + untold, facts(SYSTEM, NEAR))
    (advice,) = [each for each in card.advice if each.kind == "system prompt"]
    assert advice.change.startswith("send that system prompt with every request")


def test_rising_held_out_loss_is_named() -> None:
    card = ReportCard(("base", "desk"), (), "look closer", ())
    log = [{"step": at, "epoch": at / 10, "eval_loss": loss}
           for at, loss in ((10, 2.0), (20, 1.5), (30, 1.9))]  # fmt: skip
    (advice,) = training_advice(card, TrainingFacts(RECIPE, 24, log))
    assert advice.kind == "held-out loss rising"
    assert advice.change.startswith("num_train_epochs=2 (now 3 epochs)")
    assert training_advice(card, TrainingFacts(RECIPE, 24, log[:2])) == ()


def test_low_learning_rate_is_named() -> None:
    """Together's clients send 1 epoch and 1e-5 unless they are told otherwise."""
    lanes, score = ("base", "desk"), {"exact match": 0.0}
    row = RowResult(1, "q", "Gate 4", dict.fromkeys(lanes, ""), dict.fromkeys(lanes, score))
    section = summarize("Rows", lanes, [row], kind="trained")
    card = ReportCard(lanes, (section,), "look closer", ())
    recipe = replace(RECIPE, learning_rate=1e-5, num_train_epochs=1.0)
    low, few = training_advice(card, TrainingFacts(recipe, 24, suited_rate=2e-3))
    assert low.kind == "learning rate too low"
    assert "a learning rate of 1e-05 is 200 times below what suits this base" in low.problem
    assert low.change == "learning_rate=0.002 (now 1e-05)"
    assert few.problem == "1 epoch is too few for 24 rows"
    (unknown,) = training_advice(card, TrainingFacts(recipe, 24))
    assert unknown.kind == "too few epochs"


def test_rate_that_suits_a_base_is_its_presets(tmp_path: Path) -> None:
    assert suited_learning_rate("embedded") == embedded_cpu().learning_rate
    assert suited_learning_rate(str(tmp_path / "gone")) == 0
