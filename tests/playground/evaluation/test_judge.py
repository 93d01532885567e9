"""A judge's verdict does not depend on the place of an answer, and is a verdict or none."""

import pytest

from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.evaluation.judge import Judge, preference
from playground.protocol import Request

JUDGE = Judge("scripted", "The longer answer is better.")


def longer(request: Request) -> list[str]:
    text = request.messages[-1].content
    a, b = text.split("Answer A:\n")[1].split("\n\nAnswer B:\n")
    return ['{"better": "A"}' if len(a) > len(b) else '{"better": "B"}']


@pytest.mark.parametrize(
    ("judges", "wanted"),
    [
        (longer, 1.0),
        (lambda request: ['{"better": "A"}'], 0.5),  # always the first place
        (lambda request: ['{"better": "equal"}'], 0.5),
        (lambda request: ["I cannot say."], 0.5),
    ],
)
async def test_judge_averages_both_orders(judges: object, wanted: float) -> None:
    backend = ScriptedBackend(judges)  # type: ignore[arg-type]
    assert await preference(backend, JUDGE, "Why?", "a long answer", "short") == wanted


async def test_judge_real_model_verdict(backend: LocalBackend) -> None:
    verdict = await preference(backend, Judge("embedded", "Be brief."), "Hello?", "Hi.", "Bye.")
    assert verdict in (0.0, 0.5, 1.0)
