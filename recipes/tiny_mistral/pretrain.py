"""Pre-training by step: seeded, checkpointed, the same whether or not it was interrupted."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import MistralForCausalLM

from recipes.tiny_mistral.batches import Batch, BatchSource, Position
from recipes.tiny_mistral.config import Recipe
from recipes.tiny_mistral.evaluate import PlainAnswers, evaluate
from recipes.tiny_mistral.initialise import new_model
from recipes.tiny_mistral.rendering import Renderer

CHECKPOINT = "checkpoint.pt"
LOG = "metrics.jsonl"
CURVE = "curve.jsonl"
CURVE_POINTS = 10


@dataclass(slots=True)
class Progress:
    """How far a run is. ``seconds`` counts training only, over all its sessions."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What is told every few steps; ``loss`` is the mean over the assistant's tokens."""

    step: int
    tokens: int
    seconds: float
    loss: float


class Trainer:
    """One run: model, two optimisers, position in the data."""

    def __init__(self, recipe: Recipe, renderer: Renderer) -> None:
        self.recipe = recipe
        self.model = new_model(recipe, renderer.vocabulary).train()
        matrices, vectors = _split_parameters(self.model)
        self.muon = torch.optim.Muon(
            matrices,
            lr=recipe.matrix_rate,
            weight_decay=0.01,
            momentum=0.95,
            adjust_lr_fn="original",
        )
        self.adam = torch.optim.AdamW(
            vectors, lr=recipe.vector_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.vectors = vectors
        self.progress = Progress()
        self.source = BatchSource(recipe, renderer, Position())

    def save(self, path: Path) -> None:
        """Write everything the run needs to go on, in one atomic step."""
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "progress": asdict(self.progress),
            "position": asdict(self.source.position),
            "recipe": asdict(self.recipe),
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe."""
        state = torch.load(path, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(f"{path} belongs to another recipe; remove it to start again")
        self.model.load_state_dict(state["model"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.progress = Progress(**state["progress"])
        self.source.position = Position(**state["position"])

    def run(
        self,
        until: int,
        on_report: Callable[[Report], None] | None = None,
        on_checkpoint: Callable[[], None] | None = None,
        report_every: int = 25,
        checkpoint_every: int = 400,
    ) -> None:
        """Train up to step ``until``."""
        losses: list[float] = []
        clock = time.monotonic()
        for batch in self.source.batches(self.progress.step):
            if self.progress.step >= until:
                self.source.position.used -= 1  # drawn, but not used
                break
            losses.append(self.train_step(batch))
            now = time.monotonic()
            self.progress.seconds += now - clock
            clock = now
            if self.progress.step % report_every == 0 and on_report:
                mean = sum(losses) / len(losses)
                on_report(Report(loss=round(mean, 4), **asdict(self.progress)))
                losses = []
            if self.progress.step % checkpoint_every == 0 and on_checkpoint:
                on_checkpoint()

    def train_step(self, batch: Batch) -> float:
        """One optimiser step; the mean loss over the tokens of full weight."""
        self._set_rates()
        targets, weights = batch.ids_BT[:, 1:], batch.weights_BT[:, 1:]
        chosen = weights > 0
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.model(input_ids=batch.ids_BT[:, :-1], use_cache=False)
            # logits only where there is loss: the vocabulary is half of the work otherwise
            logits = self.model.lm_head(hidden.last_hidden_state[chosen])
        losses = cross_entropy(logits.float(), targets[chosen], reduction="none")
        weights = weights[chosen]
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.vectors, 1.0)
        optimisers: tuple[torch.optim.Optimizer, ...] = (self.muon, self.adam)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.progress.step += 1
        self.progress.tokens += batch.tokens
        return float(losses.detach()[weights == 1].mean())

    def _set_rates(self) -> None:
        recipe, step = self.recipe, self.progress.step
        warm = min(1.0, (step + 1) / recipe.warmup_steps)
        left = 1 - step / recipe.steps
        scale = max(0.01, warm * min(1.0, left / recipe.decay_share))
        first = step < recipe.repeat_steps
        matrix = recipe.matrix_rate * scale * (recipe.repeat_matrix_scale if first else 1)
        vector = recipe.vector_rate * scale * (recipe.repeat_vector_scale if first else 1)
        for optimiser, rate in ((self.muon, matrix), (self.adam, vector)):
            for group in optimiser.param_groups:
                group["lr"] = rate


def _split_parameters(
    model: MistralForCausalLM,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Matrices for Muon; embeddings and norms for AdamW."""
    matrices: list[torch.nn.Parameter] = []
    vectors: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embed" not in name
        (matrices if is_matrix else vectors).append(parameter)
    return matrices, vectors


def pretrain(recipe: Recipe, build: Path, curve_rows: int = 0) -> MistralForCausalLM:
    """Train, or go on training, in a build folder that holds ``tekken.json``.

    With ``curve_rows``, so many rows of every family are answered at each tenth of the run, and
    the shares that are right go to ``curve.jsonl``. Training is the same with and without.
    """
    renderer = Renderer(build / "tekken.json")
    trainer = Trainer(recipe, renderer)
    checkpoint = build / CHECKPOINT
    if checkpoint.exists():
        trainer.load(checkpoint)

    def report(report: Report) -> None:
        line = json.dumps(asdict(report) | {"seconds": round(report.seconds, 1)})
        print(line, flush=True)
        with (build / LOG).open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    tenth = max(1, recipe.steps // CURVE_POINTS)
    while trainer.progress.step < recipe.steps:
        until = min(recipe.steps, (trainer.progress.step // tenth + 1) * tenth)
        trainer.run(until, report, lambda: trainer.save(checkpoint))
        trainer.save(checkpoint)
        if curve_rows:
            _write_curve_point(trainer, renderer, build / CURVE, curve_rows)
    return trainer.model


def _write_curve_point(trainer: Trainer, renderer: Renderer, path: Path, rows: int) -> None:
    scores = evaluate(PlainAnswers(trainer.model, renderer), rows)
    trainer.model.train()
    point = asdict(trainer.progress) | {"exact": {each.family: each.share for each in scores}}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(point) + "\n")
