"""A vLLM server, as its answers were recorded, asked for the log-likelihood of a continuation."""

from pathlib import Path

from playground.evaluation.harness.scoring import Scorer, weights_of
from playground.store.evaluation_cache import EvaluationCache
from tests.playground.backends.openai_compatible.recorded import recording, replayed, whole
from tests.playground.backends.openai_compatible.servers import TRIED, VLLM_MODELS

TRIALS = 4
CHATS, TEXTS = "/v1/chat/completions", "/v1/completions"


def entry(token: int, logprob: float, **others: float) -> dict[str, object]:
    scores = {str(token): logprob, **{name.strip("_"): value for name, value in others.items()}}
    return {name: {"logprob": value, "decoded_token": "x"} for name, value in scores.items()}


async def test_vllm_scores_a_continuation(tmp_path: Path) -> None:
    choice = {
        "index": 0, "text": "x", "finish_reason": "length",
        "prompt_logprobs": [None, entry(7, -0.5), entry(8, -1.5, _9=-0.3)],
    }  # fmt: skip
    refused = {"error": {"message": "max_tokens must be at least 1", "code": 400}}
    kept = recording(
        {
            "/v1/models": VLLM_MODELS,
            CHATS: [TRIED] * TRIALS,
            "/tokenize": [
                whole({"count": len(ids), "tokens": ids}) for ids in ([1, 7, 8], [1, 7]) * 2
            ],
            TEXTS: [whole(refused, 400), *[whole({"choices": [choice]})] * 2],
        }
    )
    with replayed(kept, "vllm") as backend:
        await backend.refresh()
        info = (await backend.models())[0]
        scorer = Scorer(backend, info, EvaluationCache(tmp_path, weights_of(info)))
        await scorer.check_likelihoods(rolling=False)
        (found,) = await scorer.likelihoods([("Hello", " you")])
    assert found == (-1.5, False)
    asked = kept.bodies(TEXTS)
    assert [body["max_tokens"] for body in asked] == [0, 1, 1]
    assert asked[-1]["prompt"] == [1, 7, 8]
