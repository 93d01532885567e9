"""The engine over the embedded model: what one request gets never depends on the others."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest
import torch

from playground.backends.chat import Answer, answer
from playground.engine import Engine, Limits
from playground.errors import ContextOverflow, InvalidRequest, Overloaded, RequestFailed
from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Message, Request, Sampling

QUESTIONS = (
    "Hello!",
    "What is the capital of Japan?",
    "Could you make a table of the planets, please?",
    "please write hello world in Python for me",
    "Bonjour, quelle est la capitale du Japon ?",
)


def ask(text: str, **sampling: Any) -> Request:
    settings = {"temperature": 0.0, "max_tokens": 60} | sampling
    return Request("embedded", (Message("user", text),), sampling=Sampling(**settings))


async def together(engine: Engine, requests: Sequence[Request]) -> list[Answer]:
    return list(await asyncio.gather(*(answer(engine, request) for request in requests)))


async def test_a_greedy_answer_is_what_transformers_generates(
    engine: Engine, loaded: LoadedModel
) -> None:
    reference = load(ModelSpec("embedded")).model
    for text in QUESTIONS:
        request = ask(text)
        prompt = loaded.tokenizer.render(request.messages)
        generated = reference.generate(
            torch.tensor([prompt]), max_new_tokens=60, do_sample=False, pad_token_id=11
        )[0, len(prompt) :].tolist()
        expected = reference.config.eos_token_id
        ids = generated[: generated.index(expected)] if expected in generated else generated
        ours = await answer(engine, ask(text, logprobs=0))
        assert [token.token_id for token in ours.logprobs][: len(ids)] == ids


async def test_greedy_answers_of_32_requests_equal_their_solo_answers(engine: Engine) -> None:
    requests = [ask(f"{QUESTIONS[i % 5]} {'Please. ' * (i % 7)}") for i in range(32)]
    batched = await together(engine, requests)
    for request, got in zip(requests, batched, strict=True):
        alone = await answer(
            engine, Request("embedded", request.messages, sampling=request.sampling)
        )
        assert got.text == alone.text


async def test_the_same_seed_gives_the_same_answer_whatever_else_runs(engine: Engine) -> None:
    alone = await answer(engine, ask("Hello!", temperature=1.5, seed=7))
    others = [ask(text, temperature=1.5) for text in QUESTIONS * 3]
    crowd = await together(engine, [*others, ask("Hello!", temperature=1.5, seed=7)])
    assert crowd[-1].text == alone.text


async def test_preempted_requests_answer_as_if_nothing_had_happened(loaded: LoadedModel) -> None:
    requests = [ask(f"{QUESTIONS[i % 5]} {'Please. ' * 9}") for i in range(12)]
    with Engine(loaded, limits=Limits(kv_cache_gib=0.001)) as tight:
        crowded = await together(tight, requests)
    with Engine(loaded) as roomy:
        for request, got in zip(requests, crowded, strict=True):
            again = Request("embedded", request.messages, sampling=request.sampling)
            assert got.text == (await answer(roomy, again)).text


async def test_closing_the_stream_frees_the_slot(engine: Engine) -> None:
    endless = ask("Hello!", max_tokens=None, logit_bias={2: -100.0})
    async with aclosing(engine.stream(endless)) as events:
        await anext(events)
        assert engine.live_requests == 1
    await answer(engine, ask("Hello!"))  # at the latest now a step has passed
    assert engine.live_requests == 0


async def test_an_error_in_one_request_fails_that_request_only(loaded: LoadedModel) -> None:
    poison = loaded.tokenizer.encode("planets")[-1]

    def fail(_module: Any, arguments: tuple[torch.Tensor, ...]) -> None:
        if bool((arguments[0] == poison).any()):
            raise RuntimeError("poisoned")

    embedding = loaded.model.get_input_embeddings()
    with Engine(loaded) as engine:
        hook = embedding.register_forward_pre_hook(fail)
        try:
            results = await asyncio.gather(
                *(answer(engine, ask(text)) for text in ("planets", *QUESTIONS[:2])),
                return_exceptions=True,
            )
        finally:
            hook.remove()
    assert isinstance(results[0], RequestFailed)
    assert all(isinstance(result, Answer) for result in results[1:])


async def test_a_stop_string_ends_the_answer_and_is_not_shown(engine: Engine) -> None:
    whole = await answer(engine, ask("What is the capital of Japan?"))
    stop = whole.text[5:12]
    cut = await answer(engine, ask("What is the capital of Japan?", stop=(stop,)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"


async def test_a_prompt_past_the_window_is_refused(engine: Engine) -> None:
    with pytest.raises(ContextOverflow):
        await answer(engine, ask("word " * 4000))


async def test_a_full_queue_is_refused(loaded: LoadedModel) -> None:
    with Engine(loaded, limits=Limits(max_sequences=1, max_waiting=0)) as engine:
        endless = ask("Hello!", max_tokens=None, logit_bias={2: -100.0})
        async with aclosing(engine.stream(endless)) as events:
            await anext(events)
            with pytest.raises(Overloaded):
                await answer(engine, ask("Hello!"))


async def test_a_token_id_outside_the_vocabulary_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        await answer(engine, Request("embedded", prompt=(10_000_000,)))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
async def test_a_quantized_base_answers(quantization: Any) -> None:
    with Engine(load(ModelSpec("embedded", quantization=quantization))) as engine:
        got = await answer(engine, ask("What is the capital of Japan?"))
    assert "Tokyo" in got.text
