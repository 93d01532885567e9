"""Free-running exact match on held-out pools, with 95% intervals.

Knows no engine: it takes any function from rows to answers, so that the plain model, the engine and
the engine with a grammar are judged alike. Token accuracy flatters; only whole answers count here.
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

from recipes.tiny_mistral.config import Recipe
from recipes.tiny_mistral.corpus import FAMILIES, Draw, Row, Split, Turn, systems
from recipes.tiny_mistral.corpus.rows import Call
from recipes.tiny_mistral.rendering import CALLS, EOS, PAD, Renderer

EVALUATION_SEED = 999
LONGEST_ANSWER = 140
BATCH = 32
Z_95 = 1.96
Answer = Callable[[Sequence[Row]], list[Turn]]


@dataclass(frozen=True, slots=True)
class Score:
    """How many of a family's rows were right."""

    family: str
    right: int
    rows: int

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.right / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval (Wilson 1927): honest near 0 and 1 too."""
        n, p = self.rows, self.share
        centre = p + Z_95**2 / (2 * n)
        spread = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n))
        scale = 1 + Z_95**2 / n
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def families() -> Mapping[str, Callable[[Draw], Row]]:
    """What is evaluated: every family, and system prompts in words never trained."""
    unseen: dict[str, Callable[[Draw], Row]] = {
        "system.language (unseen wording)": partial(systems.language_row, unseen=True),
        "system.persona (unseen wording)": partial(systems.persona_row, unseen=True),
        "system.suffix (unseen wording)": partial(systems.suffix_row, unseen=True),
    }
    for name in systems.SIMPLE:
        unseen[f"{name} (unseen wording)"] = partial(systems.simple_row, family=name, unseen=True)
    return {**FAMILIES, **unseen}


def held_out_rows(family: str, count: int, seed: int = EVALUATION_SEED) -> list[Row]:
    """Rows of the held-out split; the same for the same seed."""
    draw = Draw(random.Random(f"{seed}-{family}"), Split.HELD)
    return [families()[family](draw) for _ in range(count)]


def is_right(row: Row, answer: Turn) -> bool:
    """Whether an answer says exactly what the row wants; JSON is compared by value."""
    wanted = row.answer
    if wanted.calls:
        return [_plain(call) for call in answer.calls] == [_plain(call) for call in wanted.calls]
    if answer.calls:
        return False
    if row.family == "extraction":
        return _json(answer.text) == _json(wanted.text)
    return answer.text == wanted.text


def _plain(call: Call) -> tuple[str, str]:
    return call.name, json.dumps(call.arguments, sort_keys=True)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def read_answer(renderer: Renderer, ids: Sequence[int]) -> Turn:
    """The turn that generated ids stand for. Broken calls become text, which is never right."""
    if not ids or ids[0] != CALLS:
        return Turn("assistant", renderer.decode(ids))
    text = renderer.decode(ids[1:])
    try:
        calls = tuple(Call(str(c["name"]), dict(c["arguments"])) for c in json.loads(text))
    except (ValueError, KeyError, TypeError):
        return Turn("assistant", text)
    return Turn("assistant", calls=calls)


class PlainAnswers:
    """Greedy answers of a transformers model, batched, without a grammar."""

    def __init__(self, model: MistralForCausalLM, renderer: Renderer) -> None:
        self.model = model.eval()
        self.renderer = renderer

    def __call__(self, rows: Sequence[Row]) -> list[Turn]:
        """One answer a row, in the rows' order."""
        prompts = [self.renderer.prompt(row) for row in rows]
        order = sorted(range(len(rows)), key=lambda at: len(prompts[at]))
        answers = [Turn("assistant")] * len(rows)
        for start in range(0, len(order), BATCH):
            group = order[start : start + BATCH]
            generated = self._generate([prompts[at] for at in group])
            for at, ids in zip(group, generated, strict=True):
                answers[at] = read_answer(self.renderer, ids)
        return answers

    @torch.no_grad()
    def _generate(self, prompts: Sequence[list[int]]) -> list[list[int]]:
        width = max(map(len, prompts))
        ids_BT = torch.full((len(prompts), width), PAD)  # noqa: N806
        mask_BT = torch.zeros(len(prompts), width, dtype=torch.long)  # noqa: N806
        for at, prompt in enumerate(prompts):
            ids_BT[at, width - len(prompt) :] = torch.tensor(prompt)
            mask_BT[at, width - len(prompt) :] = 1
        generated = self.model.generate(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            max_new_tokens=LONGEST_ANSWER,
            do_sample=False,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )[:, width:].tolist()
        return [ids[: ids.index(EOS)] if EOS in ids else ids for ids in generated]


def evaluate(
    answer: Answer,
    rows_each: int,
    names: Sequence[str] = (),
    on_wrong: Callable[[Row, Turn], None] | None = None,
) -> list[Score]:
    """Scores of the families, printed as they come."""
    scores = []
    for family in names or tuple(families()):
        rows = held_out_rows(family, rows_each)
        answers = answer(rows)
        right = [is_right(row, got) for row, got in zip(rows, answers, strict=True)]
        for row, got, good in zip(rows, answers, right, strict=True):
            if not good and on_wrong:
                on_wrong(row, got)
        scores.append(Score(family, sum(right), len(rows)))
        print(table_line(scores[-1]), flush=True)
    return scores


def table_line(score: Score) -> str:
    """A line of the model card's table."""
    low, high = score.interval
    share = f"{100 * score.share:.1f}%"
    return f"| {score.family} | {share} | {100 * low:.1f} to {100 * high:.1f} | {score.rows} |"


def evaluate_checkpoint(recipe: Recipe, build: Path, rows_each: int) -> list[Score]:
    """Evaluate the build folder's latest checkpoint as it ships: rounded to bf16, run in fp32."""
    from recipes.tiny_mistral.publish import trained_model

    model = trained_model(recipe, build).to(torch.bfloat16).to(torch.float32)
    print("| family | exact | 95% interval | rows |\n|---|---|---|---|", flush=True)
    scores = evaluate(PlainAnswers(model, Renderer(build / "tekken.json")), rows_each)
    lines = [
        json.dumps({"family": score.family, "right": score.right, "rows": score.rows})
        for score in scores
    ]
    (build / "evaluation.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return scores
