"""Pre-training: seeded and checkpointed, with the same result whether or not it is interrupted."""

import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import MistralForCausalLM

from playground.files import write_atomic
from recipes.tiny_mistral.batches import Batch, BatchSource, DataPosition
from recipes.tiny_mistral.checkpoint import CHECKPOINT_FILE, TOKENIZER_FILE
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.evaluation import GreedyAnswerer, evaluate
from recipes.tiny_mistral.initialization import new_model
from recipes.tiny_mistral.rendering import Renderer

METRICS_FILE = "metrics.jsonl"
CURVE_FILE = "curve.jsonl"
CURVE_POINTS = 10


@dataclass(slots=True)
class Progress:
    """Progress of a run; ``seconds`` is training time, summed over interruptions."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MetricsRow:
    """A row of the metrics file; ``loss`` is the mean over the assistant's tokens."""

    step: int
    tokens: int
    seconds: float
    loss: float


class PreTrainer:
    """A run: model, two optimizers, position in the data."""

    def __init__(self, recipe: PretrainingRecipe, renderer: Renderer) -> None:
        self.recipe = recipe
        self.model = new_model(recipe, renderer.vocab_size).train()
        matrices, vectors = _split_parameters(self.model)
        self.muon = torch.optim.Muon(
            matrices,
            lr=recipe.muon_learning_rate,
            weight_decay=0.01,
            momentum=0.95,
            adjust_lr_fn="original",
        )
        self.adam = torch.optim.AdamW(
            vectors, lr=recipe.adamw_learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.vectors = vectors
        self.progress = Progress()
        self.source = BatchSource(recipe, renderer, DataPosition())

    def save(self, path: Path) -> None:
        """Save everything that the run needs to continue."""
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "progress": asdict(self.progress),
            "position": asdict(self.source.position),
            "recipe": asdict(self.recipe),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomic(path, buffer.getvalue())

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of the same recipe."""
        state = torch.load(path, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(f"{path} belongs to another recipe; remove it to start over")
        self.model.load_state_dict(state["model"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.progress = Progress(**state["progress"])
        self.source.position = DataPosition(**state["position"])

    def run(
        self,
        until: int,
        on_metrics: Callable[[MetricsRow], None] | None = None,
        on_checkpoint: Callable[[], None] | None = None,
        log_every: int = 25,
        checkpoint_every: int = 400,
    ) -> None:
        """Train up to step ``until``."""
        losses: list[float] = []
        clock = time.monotonic()
        for batch in self.source.batches(self.progress.step):
            if self.progress.step >= until:
                self.source.position.batches_used -= 1  # drawn, but not used
                break
            losses.append(self.train_step(batch))
            now = time.monotonic()
            self.progress.seconds += now - clock
            clock = now
            if self.progress.step % log_every == 0 and on_metrics:
                mean = sum(losses) / len(losses)
                on_metrics(MetricsRow(loss=round(mean, 4), **asdict(self.progress)))
                losses = []
            if self.progress.step % checkpoint_every == 0 and on_checkpoint:
                on_checkpoint()

    def train_step(self, batch: Batch) -> float:
        """Take one optimizer step; return the mean loss over the tokens of full weight."""
        self._set_learning_rates()
        targets, weights = batch.ids_BT[:, 1:], batch.weights_BT[:, 1:]
        has_loss = weights > 0
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.model(input_ids=batch.ids_BT[:, :-1], use_cache=False)
            # Logits only where there is loss; otherwise the LM head is half of the work.
            logits = self.model.lm_head(hidden.last_hidden_state[has_loss])
        losses = cross_entropy(logits.float(), targets[has_loss], reduction="none")
        weights = weights[has_loss]
        loss = (losses * weights).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.vectors, 1.0)
        optimizers: tuple[torch.optim.Optimizer, ...] = (self.muon, self.adam)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.progress.step += 1
        self.progress.tokens += batch.num_tokens
        return float(losses.detach()[weights == 1].mean())

    def _set_learning_rates(self) -> None:
        recipe, step = self.recipe, self.progress.step
        warm = min(1.0, (step + 1) / recipe.warmup_steps)
        left = 1 - step / recipe.max_steps
        scale = max(0.01, warm * min(1.0, left / recipe.decay_fraction))
        first = step < recipe.repeat_steps
        matrix = recipe.muon_learning_rate * scale * (recipe.repeat_muon_scale if first else 1)
        vector = recipe.adamw_learning_rate * scale * (recipe.repeat_adamw_scale if first else 1)
        for optimizer, rate in ((self.muon, matrix), (self.adam, vector)):
            for group in optimizer.param_groups:
                group["lr"] = rate


def _split_parameters(
    model: MistralForCausalLM,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Split into matrices for Muon, and embeddings and norms for AdamW."""
    matrices: list[torch.nn.Parameter] = []
    vectors: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embed" not in name
        (matrices if is_matrix else vectors).append(parameter)
    return matrices, vectors


def pretrain(recipe: PretrainingRecipe, build: Path, curve_rows: int = 0) -> MistralForCausalLM:
    """Train, or continue training, in a build folder that has a ``tekken.json``.

    With ``curve_rows``, that many rows of every family are evaluated at each tenth of the run, and
    the accuracies are appended to ``curve.jsonl``. This does not change the training.
    """
    renderer = Renderer(build / TOKENIZER_FILE)
    trainer = PreTrainer(recipe, renderer)
    checkpoint = build / CHECKPOINT_FILE
    if checkpoint.exists():
        trainer.load(checkpoint)

    def log(row: MetricsRow) -> None:
        line = json.dumps(asdict(row) | {"seconds": round(row.seconds, 1)})
        print(line, flush=True)
        with (build / METRICS_FILE).open("a", encoding="utf-8") as metrics:
            metrics.write(line + "\n")

    tenth = max(1, recipe.max_steps // CURVE_POINTS)
    while trainer.progress.step < recipe.max_steps:
        until = min(recipe.max_steps, (trainer.progress.step // tenth + 1) * tenth)
        trainer.run(until, log, lambda: trainer.save(checkpoint))
        trainer.save(checkpoint)
        if curve_rows:
            _write_curve_point(trainer, renderer, build / CURVE_FILE, curve_rows)
    return trainer.model


def _write_curve_point(trainer: PreTrainer, renderer: Renderer, path: Path, rows: int) -> None:
    scores = evaluate(GreedyAnswerer(trainer.model, renderer), rows)
    trainer.model.train()
    point = asdict(trainer.progress) | {"exact": {score.family: score.accuracy for score in scores}}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(point) + "\n")
