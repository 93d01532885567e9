"""The engine over the embedded model: what one request gets never depends on the others."""

import queue
from typing import Literal

import pytest
import torch
from torch import nn

from playground.engine import Engine, Limits, TokenScore
from playground.errors import (
    ContextOverflow,
    EngineStopped,
    InvalidRequest,
    Overloaded,
    RequestFailed,
)
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Sampling
from tests.playground.engine.driver import (
    CollectingSink,
    Prompt,
    decode,
    generate,
    generate_all,
    render,
    start,
    token_ids,
)

QUESTIONS = (
    "Hello!",
    "What is the capital of Japan?",
    "Could you make a table of the planets, please?",
    "please write hello world in Python for me",
    "Bonjour, quelle est la capitale du Japon ?",
)
ENDLESS = Sampling(temperature=0.0, logit_bias={2: -100.0})


@pytest.mark.slow
def test_greedy_answer_equals_transformers(engine: Engine, loaded: LoadedModel) -> None:
    reference = load(ModelSpec("embedded")).model
    for text in QUESTIONS:
        prompt = render(loaded, text)
        generated = reference.generate(
            torch.tensor([prompt]), max_new_tokens=60, do_sample=False, pad_token_id=11
        )[0, len(prompt) :].tolist()
        end_id = reference.config.eos_token_id
        ids = generated[: generated.index(end_id)] if end_id in generated else generated
        scored = Prompt(prompt, Sampling(temperature=0.0, logprobs=0))
        assert generate(engine, scored).token_ids[: len(ids)] == ids


@pytest.mark.slow
def test_batched_answers_equal_solo_answers(engine: Engine, loaded: LoadedModel) -> None:
    prompts = [
        Prompt(render(loaded, f"{QUESTIONS[i % 5]} {'Please. ' * (i % 7)}")) for i in range(32)
    ]
    batched = generate_all(engine, prompts)
    for prompt, answer in list(zip(prompts, batched, strict=True))[::2]:  # of every kind
        assert answer.token_ids == generate(engine, prompt).token_ids


@pytest.mark.slow
def test_same_seed_repeats_in_a_crowd(engine: Engine, loaded: LoadedModel) -> None:
    seeded = Prompt(render(loaded, "Hello!"), Sampling(temperature=1.5, seed=7))
    alone = generate(engine, seeded)
    others = [Prompt(render(loaded, text), Sampling(temperature=1.5)) for text in QUESTIONS * 3]
    crowd = generate_all(engine, [*others, seeded])
    assert crowd[-1].token_ids == alone.token_ids


@pytest.mark.slow
def test_preemption_changes_no_answer(loaded: LoadedModel) -> None:
    prompts = [Prompt(render(loaded, f"{QUESTIONS[i % 5]} {'Please. ' * 9}")) for i in range(12)]
    with Engine(loaded, Limits(kv_cache_gib=0.001)) as tight:
        crowded = generate_all(tight, prompts)
    with Engine(loaded) as roomy:
        for prompt, answer in zip(prompts, crowded, strict=True):
            assert answer.token_ids == generate(roomy, prompt).token_ids


def test_cancel_frees_the_slot(loaded: LoadedModel) -> None:
    live: queue.SimpleQueue[int] = queue.SimpleQueue()
    with Engine(loaded, after_step=lambda: live.put(engine.live_requests)) as engine:
        sink = CollectingSink()
        request = Prompt(render(loaded, "Hello!"), ENDLESS, max_tokens=None).request(sink)
        engine.submit(request)
        assert sink.started.wait(60)
        assert engine.live_requests == 1
        engine.cancel(request.id)
        assert sink.wait().result.reason == "cancelled"
        while live.get(timeout=60):  # counts of earlier steps come first
            pass
        assert engine.live_requests == 0


def test_error_fails_its_own_request_only(loaded: LoadedModel) -> None:
    poison = loaded.tokenizer.encode("planets")[-1]

    def fail(_module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        if bool((arguments[0] == poison).any()):
            raise RuntimeError("poisoned")

    embedding = loaded.model.get_input_embeddings()
    with Engine(loaded) as engine:
        hook = embedding.register_forward_pre_hook(fail)
        try:
            sinks = [
                start(engine, Prompt(render(loaded, text))) for text in ("planets", *QUESTIONS[:2])
            ]
            errors = [sink.error() for sink in sinks]
        finally:
            hook.remove()
    assert isinstance(errors[0], RequestFailed)
    assert errors[1:] == [None, None]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_thread_fails_all_requests(loaded: LoadedModel) -> None:
    def fail(_module: nn.Module, _arguments: tuple[torch.Tensor, ...]) -> None:
        raise KeyError("not foreseen")

    with Engine(loaded) as engine:
        hook = loaded.model.get_input_embeddings().register_forward_pre_hook(fail)
        try:
            error = start(engine, Prompt([5, 6, 7])).error()
        finally:
            hook.remove()
        assert isinstance(error, EngineStopped)
        assert "not foreseen" in str(error)
        with pytest.raises(EngineStopped):
            start(engine, Prompt([5, 6, 7]))


def test_close_fails_live_requests(loaded: LoadedModel) -> None:
    ended: list[str] = []
    engine = Engine(loaded, after_step=lambda: ended.append("step"))
    sink = start(engine, Prompt(render(loaded, "Hello!"), ENDLESS, max_tokens=None))
    assert sink.started.wait(60)
    engine.close()
    assert isinstance(sink.error(), EngineStopped)
    assert ended
    assert not engine.running


def test_sink_ends_its_answer(engine: Engine, loaded: LoadedModel) -> None:
    prompt = Prompt(render(loaded, "What is the capital of Japan?"))
    whole = generate(engine, prompt)
    cut = start(engine, prompt, stop_after=4).wait()
    assert cut.token_ids == whole.token_ids[:4]
    assert (cut.result.reason, cut.result.completion_tokens) == ("stop", 4)


def test_token_limit_ends_in_length(engine: Engine, loaded: LoadedModel) -> None:
    prompt = Prompt(render(loaded, "What is the capital of Japan?"), max_tokens=3)
    answer = generate(engine, prompt)
    assert len(answer.token_ids) == 3
    assert answer.result.reason == "length"
    assert answer.result.prompt_tokens == len(prompt.token_ids)
    assert not answer.result.steered


def test_scores_come_with_their_tokens(engine: Engine, loaded: LoadedModel) -> None:
    sampling = Sampling(temperature=0.0, logprobs=2)
    answer = generate(engine, Prompt(render(loaded, "Hello!"), sampling))
    for token_id, score in zip(answer.token_ids, answer.scores, strict=True):
        assert isinstance(score, TokenScore)
        assert score.alternatives[0] == (token_id, score.logprob)
        assert len(score.alternatives) == 2


def test_long_prompt_is_refused(engine: Engine, loaded: LoadedModel) -> None:
    with pytest.raises(ContextOverflow):
        start(engine, Prompt(render(loaded, "word " * 4000)))


def test_context_length_can_be_shorter(loaded: LoadedModel) -> None:
    with Engine(loaded, context_length=20) as engine:
        assert engine.context_length == 20
        with pytest.raises(ContextOverflow):
            start(engine, Prompt([5] * 20))
        answer = generate(engine, Prompt([5] * 15, ENDLESS, max_tokens=None))
    assert len(answer.token_ids) == 5


def test_full_queue_is_refused(loaded: LoadedModel) -> None:
    with Engine(loaded, Limits(max_sequences=1, max_waiting=0)) as engine:
        sink = start(engine, Prompt(render(loaded, "Hello!"), ENDLESS, max_tokens=None))
        assert sink.started.wait(60)
        with pytest.raises(Overloaded):
            start(engine, Prompt(render(loaded, "Hello!")))


def test_unknown_token_ids_are_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        start(engine, Prompt([10_000_000]))
    with pytest.raises(InvalidRequest, match="logit_bias"):
        start(engine, Prompt([5], Sampling(logit_bias={10_000_000: 1.0})))
    with pytest.raises(InvalidRequest, match="prompt"):
        start(engine, Prompt([]))


def test_repeated_id_is_refused(engine: Engine, loaded: LoadedModel) -> None:
    request = Prompt(render(loaded, "Hello!"), ENDLESS, max_tokens=None).request(CollectingSink())
    engine.submit(request)
    with pytest.raises(InvalidRequest, match="already running"):
        engine.submit(request)
    engine.cancel(request.id)


def test_broken_grammar_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="grammar"):
        start(engine, Prompt([5], grammar="start: nowhere"))


def test_grammar_near_the_limit_is_steered(engine: Engine, loaded: LoadedModel) -> None:
    prompt = render(loaded, "Hello!")
    grammar = 'start: "[" (/[a-z ]{40}/ ",")* "]"'
    free = Prompt(prompt, Sampling(temperature=1.5, seed=1), max_tokens=24, grammar='start: "ab"')
    bound = Prompt(prompt, Sampling(temperature=1.5, seed=1), max_tokens=24, grammar=grammar)
    unsteered, steered = generate_all(engine, [free, bound])
    assert not unsteered.result.steered
    assert steered.result.steered
    assert steered.result.reason == "stop"
    assert decode(loaded, steered.token_ids).endswith("]")


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_quantized_base_answers(quantization: Literal["nf4", "int8"]) -> None:
    loaded = load(ModelSpec("embedded", quantization=quantization))
    with Engine(loaded) as engine:
        answer = generate(engine, Prompt(render(loaded, "What is the capital of Japan?")))
    assert "Tokyo" in decode(loaded, answer.token_ids)


@pytest.mark.slow
def test_drawn_answers_differ_by_seed(engine: Engine, loaded: LoadedModel) -> None:
    prompt = render(loaded, QUESTIONS[2])
    seeded = [Prompt(prompt, Sampling(temperature=1.5, seed=seed)) for seed in (1, 1, 2)]
    first, same, other = token_ids(generate_all(engine, seeded))
    assert first == same != other


def test_failing_sink_ends_its_request_alone(engine: Engine, loaded: LoadedModel) -> None:
    """Whatever reading a token raises: the thread serves all others."""

    def fail(_tokens: int) -> None:
        raise KeyError("117541")

    prompt = Prompt(render(loaded, QUESTIONS[0]))
    broken = CollectingSink(on_token=fail)
    engine.submit(prompt.request(broken))
    others = generate_all(engine, [prompt] * 3)
    assert isinstance(broken.error(), RequestFailed)
    assert "117541" in str(broken.error())
    assert token_ids(others) == [generate(engine, prompt).token_ids] * 3


@pytest.mark.slow
def test_unused_ids_are_never_drawn(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the model makes them its first choice."""
    prompt = Prompt(render(loaded, QUESTIONS[1]))
    with Engine(loaded) as engine:
        first = generate(engine, prompt).token_ids[0]
    monkeypatch.setattr(type(loaded.tokenizer), "unused_ids", frozenset({first}))
    with Engine(loaded) as engine:
        assert first not in generate(engine, prompt).token_ids
