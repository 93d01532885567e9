"""Names what went wrong in a training and what to change, for its report card.

Judges by the run's log, its recipe and the card's sections. The loss of training rows is judged for
supervised training only: a preference's loss has no level at which it is learned. Knows no model.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from finetune.methods import method_of
from finetune.presets import recipe_for
from finetune.recipe import Recipe
from finetune.training.adapter_card import read_card
from finetune.training.checkpoints import METRICS_FILE
from finetune.training.schedule import epochs_of
from playground.errors import PlaygroundError
from playground.evaluation.report_card import ALLOWED_REGRESSION, Advice, ReportCard
from playground.jobs.log import LogLine, LogReader

FEWEST_LOSSES = 4
"""Of fewer epochs, or steps, nothing can be said of the loss."""
ROUNDING = 1e-6
LEARNED_LOSS = 0.2
"""Nats per token below which answers are known; that they fall further is no fault."""
FALL, RISE = 0.1, 0.1
"""Shares of the loss by which it falls in the last quarter of a run, or rises after its lowest
evaluation, for it to be said."""
NOISE = 2.0
"""Standard errors that a fall must exceed."""
KNOWN = 0.8
"""Score on rows that were trained on from which they count as learned."""
SHORT_OF = 0.75
"""Share of the epochs that suit so many rows below which they are too few."""
SLOW = 0.1
"""Share of the learning rate that suits a base below which one is too low."""
SYSTEM_LOSS = 0.2
"""Score lost without the training's system prompt for it to be said."""
REPLAY = 0.5


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """How an adapter was trained: ``rows`` are the examples of an epoch, ``log`` the lines of
    ``metrics.jsonl``, none if they are not kept; ``suited_rate`` is the learning rate that suits
    the base, 0 if it is not known."""

    recipe: Recipe
    rows: int
    log: Sequence[LogLine] = ()
    suited_rate: float = 0.0

    @property
    def epochs(self) -> float:
        """Epochs that were done; those of the recipe if there is no log."""
        done = max((line["epoch"] for line in self.log if "epoch" in line), default=0.0)
        return done or epochs_of(self.recipe, self.rows)

    @property
    def suited_epochs(self) -> float:
        """Epochs that suit so many rows."""
        return epochs_of(replace(self.recipe, num_train_epochs=0.0), self.rows)


def suited_learning_rate(base: str, home: Path | None = None) -> float:
    """Return the learning rate of the base's preset; 0 if its config is not at hand."""
    with suppress(PlaygroundError):
        return recipe_for(base, home=home).learning_rate
    return 0.0


def num_trained_rows(adapter: Path) -> int:
    """Return how many examples an epoch of a training had; 0 if the adapter's card does not say."""
    data = (read_card(adapter) or {}).get("data")
    rows = data.get("rows") if isinstance(data, dict) else 0
    return rows if isinstance(rows, int) else 0


def read_metrics(run: Path) -> tuple[LogLine, ...]:
    """Return the lines of a run's log; none if the folder is no run."""
    return LogReader(run / METRICS_FILE).read()


def training_advice(card: ReportCard, facts: TrainingFacts) -> tuple[Advice, ...]:
    """Return what went wrong and what to change; nothing for a training that went well."""
    return (
        *_loss_falling(facts),
        *_trained_rows(card, facts),
        *_held_out_loss(card, facts),
        *_system_prompt(card),
        *_general_rows(card, facts),
    )


def _loss_falling(facts: TrainingFacts) -> Iterator[Advice]:
    losses = _loss_curve(facts.log)
    if facts.recipe.method != "sft" or len(losses) < FEWEST_LOSSES:
        return
    quarter = len(losses) // 4
    last, before = losses[-quarter:], losses[-2 * quarter : -quarter]
    now, fall = statistics.mean(last), statistics.mean(before) - statistics.mean(last)
    noise = 0.0
    if quarter > 1:
        noise = ((statistics.variance(last) + statistics.variance(before)) / quarter) ** 0.5
    if now > LEARNED_LOSS and fall > max(FALL * (now + fall), NOISE * noise):
        yield Advice(
            "loss still falling",
            f"the loss was still falling at the end: {now + fall:.3g} in the quarter before the "
            f"last, {now:.3g} in the last",
            f"train longer, {_epochs(facts, max(2 * facts.epochs, facts.suited_epochs))}",
        )


def _loss_curve(log: Sequence[LogLine]) -> list[float]:
    """Return the mean loss of each epoch, or of each step if there are few epochs: the rows of a
    step are of about one length, and some steps have more general rows than others."""
    lines = [line for line in log if "loss" in line and "epoch" in line]
    by_epoch: dict[int, list[float]] = {}
    for line in lines:
        by_epoch.setdefault(math.ceil(line["epoch"] - ROUNDING), []).append(line["loss"])
    if len(by_epoch) < FEWEST_LOSSES:
        return [line["loss"] for line in lines]
    return [statistics.mean(losses) for losses in by_epoch.values()]


def _trained_rows(card: ReportCard, facts: TrainingFacts) -> Iterator[Advice]:
    """Rows that it was trained on and does not know: epochs too few, or something else."""
    trained = card.part("trained")
    known = trained.score(card.lanes[-1]) if trained else None
    if facts.recipe.method != "sft" or trained is None or known is None or known >= KNOWN:
        return
    problem = (
        f"it scores only {100 * known:.0f}% ({trained.metric}) on the {trained.rows} rows it was "
        "trained on"
    )
    rate, rank = facts.recipe.learning_rate, facts.recipe.lora_r
    is_slow = rate < SLOW * facts.suited_rate
    if is_slow:
        yield Advice(
            "learning rate too low",
            f"{problem}: a learning rate of {rate:g} is {facts.suited_rate / rate:.0f} times below "
            "what suits this base",
            f"learning_rate={facts.suited_rate:g} (now {rate:g})",
        )
    if facts.epochs < SHORT_OF * facts.suited_epochs:
        epochs = _epochs_text(facts.epochs)
        few = f"{epochs} {'are' if epochs.endswith('s') else 'is'} too few for {facts.rows:,} rows"
        yield Advice(
            "too few epochs",
            few if is_slow else f"{problem}: {few}",
            _epochs(facts, facts.suited_epochs),
        )
    elif not is_slow:
        yield Advice(
            "not learned",
            f"{problem} after {_epochs_text(facts.epochs)}",
            f"a higher learning_rate (now {rate:g}) or lora_r (now {rank}); look for rows that "
            "contradict each other (`finetune check`)",
        )


def _held_out_loss(card: ReportCard, facts: TrainingFacts) -> Iterator[Advice]:
    held_out = card.part("held out")
    score = held_out.score(card.lanes[-1]) if held_out else None
    evaluated = [line for line in facts.log if "eval_loss" in line and "epoch" in line]
    if len(evaluated) < 2 or facts.recipe.early_stopping_patience or (score or 0.0) >= KNOWN:
        return
    best, last = min(evaluated, key=lambda line: line["eval_loss"]), evaluated[-1]
    lowest, now = best["eval_loss"], last["eval_loss"]
    if now - lowest > RISE * lowest:
        yield Advice(
            "held-out loss rising",
            f"the held-out loss was lowest after {_epochs_text(best['epoch'])} ({lowest:.3g}) and "
            f"rose to {now:.3g}: it was trained too long",
            f"{_epochs(facts, best['epoch'])}, or early_stopping_patience=2; more wordings of each "
            "fact help, too",
        )


def _system_prompt(card: ReportCard) -> Iterator[Advice]:
    without, given = card.part("no system prompt"), card.part("trained")
    if not without or not given:
        return
    alone, prompted = without.score(card.lanes[-1]), given.score(card.lanes[-1])
    if alone is not None and prompted is not None and prompted - alone > SYSTEM_LOSS:
        yield Advice(
            "system prompt",
            f"without the system prompt of its training it knows {100 * alone:.0f}% of its rows, "
            f"with it {100 * prompted:.0f}%",
            "send that system prompt with every request, or train a copy of the rows without it",
        )


def _general_rows(card: ReportCard, facts: TrainingFacts) -> Iterator[Advice]:
    general = card.part("general")
    lost = general.differences.get("right") if general else None
    if lost is None or not lost.mean < -ALLOWED_REGRESSION:
        return
    recipe = facts.recipe
    if recipe.replay_fraction < REPLAY and method_of(recipe).uses_replay:
        change = f"mix general rows in: replay_fraction={REPLAY} (now {recipe.replay_fraction:g})"
    else:
        rate = recipe.learning_rate
        change = f"fewer epochs, or a lower learning_rate: {rate / 2:.2g} (now {rate:.2g})"
    yield Advice(
        "general rows", f"general rows lost {-100 * lost.mean:.1f} points: it forgets", change
    )


def _epochs(facts: TrainingFacts, epochs: float) -> str:
    steps = ", max_steps=0" if facts.recipe.max_steps else ""
    return f"num_train_epochs={epochs:.3g}{steps} (now {_epochs_text(facts.epochs)})"


def _epochs_text(epochs: float) -> str:
    return f"{epochs:.2g} epoch" + ("" if f"{epochs:.2g}" == "1" else "s")
