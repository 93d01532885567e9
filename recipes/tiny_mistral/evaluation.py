"""Exact match of free-running answers on the held-out split, with 95% intervals.

Knows no engine: an `Answerer` is any function from rows to answers, so that the plain model and
the engine with its grammars are scored alike. Whole answers count, not tokens: token accuracy
flatters.
"""

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import MistralForCausalLM

from playground.files import write_atomic
from playground.protocol.json_types import parse_json
from recipes.tiny_mistral.checkpoint import TOKENIZER_FILE, trained_model
from recipes.tiny_mistral.config import PretrainingRecipe
from recipes.tiny_mistral.corpus import FAMILIES, CorpusRow, CorpusTurn, Draw, Split, systems
from recipes.tiny_mistral.corpus.mixture import RowMaker
from recipes.tiny_mistral.corpus.rows import CorpusCall
from recipes.tiny_mistral.rendering import CALLS, EOS, PAD, Renderer

EVALUATION_SEED = 999
MAX_NEW_TOKENS = 140
BATCH_SIZE = 32
Z_95 = 1.96
TABLE_HEAD = "| family | exact | 95% interval | rows |\n|---|---|---|---|"
Answerer = Callable[[Sequence[CorpusRow]], list[CorpusTurn]]
"""Returns one answer per row, in the rows' order."""


@dataclass(frozen=True, slots=True)
class FamilyScore:
    """How many rows of a task family were answered exactly."""

    family: str
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """Fraction of exact answers."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval (Wilson 1927), which holds near 0 and 1 too."""
        n, p = self.total, self.accuracy
        center = p + Z_95**2 / (2 * n)
        spread = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n))
        scale = 1 + Z_95**2 / n
        return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def evaluated_families() -> Mapping[str, RowMaker]:
    """Return every task family, and system prompts in wordings that are never trained."""
    unseen: dict[str, RowMaker] = {
        "system.language (unseen wording)": partial(systems.language_row, unseen=True),
        "system.persona (unseen wording)": partial(systems.persona_row, unseen=True),
        "system.suffix (unseen wording)": partial(systems.suffix_row, unseen=True),
    }
    for name in systems.SIMPLE:
        unseen[f"{name} (unseen wording)"] = partial(systems.simple_row, family=name, unseen=True)
    return {**FAMILIES, **unseen}


def held_out_rows(family: str, count: int, seed: int = EVALUATION_SEED) -> list[CorpusRow]:
    """Draw rows of the held-out split; the same for the same seed."""
    draw = Draw(random.Random(f"{seed}-{family}"), Split.HELD_OUT)
    return [evaluated_families()[family](draw) for _ in range(count)]


def is_correct(row: CorpusRow, answer: CorpusTurn) -> bool:
    """Tell whether an answer is exactly the row's; JSON is compared by value."""
    expected = row.answer
    if expected.calls:
        return list(map(_plain, answer.calls)) == list(map(_plain, expected.calls))
    if answer.calls:
        return False
    if row.family == "extraction":
        return _json_or_none(answer.text) == _json_or_none(expected.text)
    return answer.text == expected.text


def _plain(call: CorpusCall) -> tuple[str, str]:
    return call.name, json.dumps(call.arguments, sort_keys=True)


def _json_or_none(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError:
        return None


def read_answer(renderer: Renderer, ids: Sequence[int]) -> CorpusTurn:
    """Read generated token ids as a turn. Calls that do not parse become text, never correct."""
    if not ids or ids[0] != CALLS:
        return CorpusTurn("assistant", renderer.decode(ids))
    text = renderer.decode(ids[1:])
    try:
        calls = tuple(
            CorpusCall(str(call["name"]), dict(call["arguments"])) for call in json.loads(text)
        )
    except (ValueError, KeyError, TypeError):
        return CorpusTurn("assistant", text)
    return CorpusTurn("assistant", calls=calls)


class GreedyAnswerer:
    """Greedy answers of a transformers model, batched, without a grammar."""

    def __init__(self, model: MistralForCausalLM, renderer: Renderer) -> None:
        self.model = model.eval()
        self.renderer = renderer

    def __call__(self, rows: Sequence[CorpusRow]) -> list[CorpusTurn]:
        """Return one answer per row, in the rows' order."""
        prompts = [self.renderer.prompt(row) for row in rows]
        by_length = sorted(range(len(rows)), key=lambda index: len(prompts[index]))
        answers = [CorpusTurn("assistant")] * len(rows)
        for start in range(0, len(by_length), BATCH_SIZE):
            group = by_length[start : start + BATCH_SIZE]
            generated = self._generate([prompts[index] for index in group])
            for index, ids in zip(group, generated, strict=True):
                answers[index] = read_answer(self.renderer, ids)
        return answers

    @torch.no_grad()
    def _generate(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        width = max(map(len, prompts))
        ids_BT = torch.full((len(prompts), width), PAD)  # noqa: N806
        mask_BT = torch.zeros(len(prompts), width, dtype=torch.long)  # noqa: N806
        for index, prompt in enumerate(prompts):
            ids_BT[index, width - len(prompt) :] = torch.tensor(prompt)
            mask_BT[index, width - len(prompt) :] = 1
        generated = self.model.generate(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )[:, width:].tolist()
        return [ids[: ids.index(EOS)] if EOS in ids else ids for ids in generated]


def evaluate(
    answerer: Answerer, rows_per_family: int, families: Sequence[str] = ()
) -> list[FamilyScore]:
    """Score the families (all of them unless some are named), printing each as it is done."""
    scores = []
    for family in families or tuple(evaluated_families()):
        rows = held_out_rows(family, rows_per_family)
        answers = answerer(rows)
        correct = sum(is_correct(row, answer) for row, answer in zip(rows, answers, strict=True))
        scores.append(FamilyScore(family, correct, len(rows)))
        print(table_line(scores[-1]), flush=True)
    return scores


def table_line(score: FamilyScore) -> str:
    """Format a score as a line of the model card's table."""
    low, high = score.interval
    exact = f"{100 * score.accuracy:.1f}%"
    return f"| {score.family} | {exact} | {100 * low:.1f} to {100 * high:.1f} | {score.total} |"


def evaluate_checkpoint(
    recipe: PretrainingRecipe, build: Path, rows_per_family: int
) -> list[FamilyScore]:
    """Evaluate the latest checkpoint as it is published: rounded to bf16, run in fp32."""
    model = trained_model(recipe, build).to(torch.bfloat16).to(torch.float32)
    print(TABLE_HEAD, flush=True)
    answerer = GreedyAnswerer(model, Renderer(build / TOKENIZER_FILE))
    scores = evaluate(answerer, rows_per_family)
    lines = [
        json.dumps({"family": score.family, "right": score.correct, "rows": score.total})
        for score in scores
    ]
    write_atomic(build / "evaluation.jsonl", "\n".join(lines) + "\n")
    return scores
