"""Scores of a prompt's tokens: those of transformers, whatever else is in the batch."""

import pytest
import torch
from transformers import PreTrainedModel

from playground.engine import Engine, Limits
from playground.engine.runner import Layout
from playground.models.loaded import LoadedModel
from playground.protocol import Sampling
from tests.playground.engine.driver import GREEDY, CollectingSink, Prompt, generate, start
from tests.playground.engine.test_other_families import ALONE, PACKED, PROMPTS, in_engine, random

SCORED = Sampling(temperature=0.0, prompt_logprobs=2)
TOLERANCE = 1e-3


def scores(sink: CollectingSink) -> list[float]:
    return [score.logprob for score in sink.prompt_scores]


@torch.inference_mode()
def expected_scores(model: PreTrainedModel, ids: list[int]) -> list[float]:
    logprobs = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return [logprobs[place, follower].item() for place, follower in enumerate(ids[1:])]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen2", "gpt2", "gemma2", "mamba"])
def test_scores_are_those_of_transformers(kind: str, loaded: LoadedModel) -> None:
    model = random(kind, {**PACKED, **ALONE}[kind], loaded.tokenizer.vocabulary_size)
    expected = [expected_scores(model, ids) for ids in PROMPTS]
    with Engine(in_engine(model, kind, loaded), Limits(kv_cache_gib=0.1)) as engine:
        sinks = [start(engine, Prompt(ids, SCORED, max_tokens=3)) for ids in PROMPTS]
        for sink in sinks:
            sink.wait()
    for sink, wanted in zip(sinks, expected, strict=True):
        assert scores(sink) == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.slow
def test_a_paged_cache_scores_alike(loaded: LoadedModel) -> None:
    found = []
    layouts: tuple[Layout, ...] = ("contiguous", "paged")
    for layout in layouts:
        with Engine(loaded, Limits(kv_layout=layout)) as engine:
            sinks = [start(engine, Prompt(ids, SCORED, max_tokens=2)) for ids in PROMPTS]
            for sink in sinks:
                sink.wait()
        found.append([score for sink in sinks for score in scores(sink)])
    assert found[0] == pytest.approx(found[1], abs=TOLERANCE)


def test_alternatives_are_the_most_likely(loaded: LoadedModel) -> None:
    with Engine(loaded) as engine:
        sink = start(engine, Prompt(PROMPTS[1], SCORED, max_tokens=0))
        assert sink.wait().token_ids == []
    for score in sink.prompt_scores:
        first, second = (logprob for _, logprob in score.alternatives)
        assert first >= second
        assert first >= score.logprob


@pytest.mark.slow
def test_answers_beside_a_scored_prompt_stay(loaded: LoadedModel) -> None:
    with Engine(loaded, Limits(prefix_cache=False)) as engine:
        plain = Prompt(PROMPTS[3], GREEDY)
        alone = generate(engine, plain).token_ids
        beside = [start(engine, Prompt(PROMPTS[3], SCORED, max_tokens=3)) for _ in range(4)]
        assert generate(engine, plain).token_ids == alone
        for sink in beside:
            sink.wait()


@pytest.mark.slow
def test_a_scored_answer_is_the_plain_one(loaded: LoadedModel) -> None:
    with Engine(loaded) as engine:
        plain = generate(engine, Prompt(PROMPTS[3], GREEDY)).token_ids
        assert generate(engine, Prompt(PROMPTS[3], SCORED)).token_ids == plain


@pytest.mark.slow
def test_a_preempted_prompt_is_scored_once(loaded: LoadedModel) -> None:
    """Four long prompts in a cache for little more than one of them."""
    ids = PROMPTS[3] + PROMPTS[3]
    with Engine(loaded) as engine:
        wanted = start(engine, Prompt(ids, SCORED, max_tokens=40))
        wanted.wait()
    tokens = len(ids) + 60
    model = loaded.model
    config = model.config
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    gib = 1.5 * tokens * per_token * model.dtype.itemsize / 2**30
    with Engine(loaded, Limits(kv_cache_gib=gib), context_length=tokens) as engine:
        sinks = [start(engine, Prompt(ids, SCORED, max_tokens=40)) for _ in range(4)]
        for sink in sinks:
            sink.wait()
    for sink in sinks:
        assert scores(sink) == pytest.approx(scores(wanted), abs=TOLERANCE)
