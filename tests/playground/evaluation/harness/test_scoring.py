"""Log-likelihoods and texts of a backend, beside transformers' own on the same weights."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.errors import InvalidRequest
from playground.evaluation.harness.scoring import Scorer, weights_of
from playground.evaluation.harness.token_pairs import Chat, Context, TokenPair, rolling_windows
from playground.models.loaded import LoadedModel
from playground.protocol import Message, Sampling
from playground.store.evaluation_cache import EvaluationCache

PAIRS = [
    ("The capital of France is", " Paris"),
    ("The capital of France is", " a city in the north"),
    ("What is the capital of Italy? ", "Rome"),
    ("", "Hello, how are you?"),
]
ASKED = Chat((Message("user", "What is the capital of France?"),))


def scorer(backend: LocalBackend, home: Path, context_length: int | None = None) -> Scorer:
    info = backend.default_model
    if context_length:
        info = replace(info, context_length=context_length)
    return Scorer(backend, info, EvaluationCache(home, weights_of(info)))


def of_transformers(loaded: LoadedModel, context: Sequence[int], ids: Sequence[int]) -> list[float]:
    """Log-probability of each of ``ids`` after ``context``."""
    with torch.no_grad():
        logits = loaded.model(torch.tensor([[*context, *ids]])).logits[0].float()
    scores = torch.log_softmax(logits, dim=-1)
    places = range(len(context) - 1, len(context) + len(ids) - 1)
    return [float(scores[place, token]) for place, token in zip(places, ids, strict=True)]


@pytest.mark.slow
async def test_likelihoods_are_those_of_transformers(
    backend: LocalBackend, loaded: LoadedModel, tmp_path: Path
) -> None:
    ours = await scorer(backend, tmp_path).likelihoods(PAIRS)
    bos = loaded.tokenizer.prefix_id
    for (context, continuation), found in zip(PAIRS, ours, strict=True):
        whole = loaded.tokenizer.encode(context + continuation)
        kept = loaded.tokenizer.encode(context.rstrip()) if context else [bos]
        theirs = of_transformers(loaded, kept, whole[len(kept) :])
        assert found.logprob == pytest.approx(sum(theirs), abs=1e-3)


@pytest.mark.slow
async def test_choices_of_one_token_take_one_request(backend: LocalBackend, tmp_path: Path) -> None:
    words = [("The capital of France is", word) for word in (" and", " this", " a")]
    together = scorer(backend, tmp_path / "together")
    both = await together.likelihoods(words)
    alone = [(await scorer(backend, tmp_path / pair[1]).likelihoods([pair]))[0] for pair in words]
    assert [each.logprob for each in both] == pytest.approx([e.logprob for e in alone], abs=1e-3)
    assert [each.greedy for each in both] == [each.greedy for each in alone]
    assert together.asked == 1


@pytest.mark.slow
async def test_long_text_is_scored_in_windows(
    backend: LocalBackend, loaded: LoadedModel, tmp_path: Path
) -> None:
    text = " ".join(f"Number {number} follows." for number in range(30))
    (found,) = await scorer(backend, tmp_path, context_length=66).rolling([text])
    ids, bos = loaded.tokenizer.encode(text), loaded.tokenizer.prefix_id
    windows = list(rolling_windows(ids, bos, 64))
    assert len(windows) > 1
    theirs = sum(sum(of_transformers(loaded, w.context, w.continuation)) for w in windows)
    assert found == pytest.approx(theirs, abs=1e-2)


def test_windows_predict_each_token_once() -> None:
    windows = list(rolling_windows(range(10, 20), 1, 4))
    assert windows == [
        TokenPair((1,), (10, 11, 12, 13)),
        TokenPair((13,), (14, 15, 16, 17)),
        TokenPair((15, 16, 17), (18, 19)),
    ]


@pytest.mark.slow
async def test_second_run_asks_nothing(backend: LocalBackend, tmp_path: Path) -> None:
    greedy = Sampling(temperature=0.0, max_tokens=6, stop=("\n",))
    drawn = replace(greedy, temperature=1.0, seed=1)
    prompts: list[tuple[Context, Sampling]] = [
        (ASKED, greedy),
        ("Hello", greedy),
        (ASKED, drawn),
        (ASKED, drawn),
    ]
    first, again = (scorer(backend, tmp_path) for _ in range(2))
    done: list[int] = []
    texts = await first.generate(prompts)
    scores = await first.likelihoods(PAIRS)
    again = scorer(backend, tmp_path)
    again.on_done = done.append
    assert await again.generate(prompts) == texts
    assert await again.likelihoods(PAIRS) == scores
    assert (first.asked > 0, again.asked, sum(done)) == (True, 0, len(prompts) + len(PAIRS))


@pytest.mark.slow
async def test_chat_context_is_the_models_prompt(backend: LocalBackend, tmp_path: Path) -> None:
    likely, unlikely = await scorer(backend, tmp_path).likelihoods(
        [(ASKED, "The capital"), (ASKED, "Zebra")]
    )
    assert likely.logprob > unlikely.logprob
    begun = Chat((*ASKED.messages, Message("assistant", "The capital of")), continues=True)
    (text,) = await scorer(backend, tmp_path).generate(
        [(begun, Sampling(temperature=0.0, max_tokens=4))]
    )
    assert text.startswith(" France")


def test_backend_without_token_ids_is_refused(tmp_path: Path) -> None:
    backend = ScriptedBackend(lambda _request: ["fine"])
    info = asyncio.run(backend.models())[0]
    refused = Scorer(backend, info, EvaluationCache(tmp_path, weights_of(info)))
    with pytest.raises(InvalidRequest, match="scripted gives no log-probabilities of a prompt"):
        asyncio.run(refused.check_likelihoods(rolling=False))


def test_cache_outlives_a_broken_line(tmp_path: Path) -> None:
    kept = EvaluationCache(tmp_path, {"base": "x"})
    kept.add("a", [1.5, True])
    with kept.path.open("ab") as file:
        file.write(b'["b", [2')
    again = EvaluationCache(tmp_path, {"base": "x"})
    again.add("c", "text")
    last = EvaluationCache(tmp_path, {"base": "x"})
    assert ("a" in last, "b" in last, last["c"]) == (True, False, "text")
    assert "a" not in EvaluationCache(tmp_path, {"base": "y"})
