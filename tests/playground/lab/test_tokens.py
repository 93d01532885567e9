"""Inside a token: scores, forks and the rendered prompt, over the embedded model."""

import math

import pytest

from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.errors import InvalidRequest
from playground.lab.tokens import (
    Fork,
    fork,
    rendered_prompt,
    score_answer,
    score_text,
    what_is_cut,
)
from playground.protocol import Answer, Message, Request, Sampling, Tool, collect

ASKED = (Message("system", "Be brief."), Message("user", "Tell me about Rome."))
GREEDY = Sampling(temperature=0.0, max_tokens=24, logprobs=3)


@pytest.fixture
def request_(backend: LocalBackend) -> Request:
    return Request(backend.default_model.name, ASKED, sampling=GREEDY)


async def answered(backend: LocalBackend, request: Request) -> Answer:
    return await collect(backend.stream(request))


@pytest.mark.slow
async def test_scores_are_those_of_generation(backend: LocalBackend, request_: Request) -> None:
    answer = await answered(backend, request_)
    scored = await score_answer(backend, request_, answer.text)
    compared = list(zip(answer.logprobs, scored.tokens, strict=False))
    assert len(compared) >= 8
    for generated, token in compared:
        assert token.token_id == generated.token_id
        assert token.logprob == pytest.approx(generated.logprob, abs=1e-3)
    assert len(scored.tokens[0].alternatives) == 5


@pytest.mark.slow
async def test_fork_with_same_token_changes_nothing(
    backend: LocalBackend, request_: Request
) -> None:
    answer = await answered(backend, request_)
    scored = await score_answer(backend, request_, answer.text)
    kept = Fork(3, scored.tokens[3].token_id)
    again = await collect(fork(backend, request_, answer.text, kept))
    assert again.text[: len(answer.text)] == answer.text


@pytest.mark.slow
async def test_fork_goes_on_from_chosen_token(backend: LocalBackend, request_: Request) -> None:
    answer = await answered(backend, request_)
    scored = await score_answer(backend, request_, answer.text)
    other = next(
        each for each in scored.tokens[1].alternatives if each.token_id != scored.tokens[1].token_id
    )
    forked = await collect(fork(backend, request_, answer.text, Fork(1, other.token_id)))
    assert forked.text.startswith(scored.tokens[0].text + other.text)
    assert forked.text != answer.text


async def test_fork_at_end_token_ends_there(backend: LocalBackend, request_: Request) -> None:
    scored = await score_answer(backend, request_, "Rome is old.")
    end = scored.tokens[-1].token_id
    forked = await collect(fork(backend, request_, "Rome is old.", Fork(2, end)))
    shown = "".join(token.text for token in scored.tokens[:2])
    assert (forked.text, forked.finish_reason) == (shown, "stop")


async def test_fork_outside_of_answer_refused(backend: LocalBackend, request_: Request) -> None:
    with pytest.raises(InvalidRequest, match="position"):
        await collect(fork(backend, request_, "Rome.", Fork(99, 5)))


async def test_fork_inside_a_character_refused(backend: LocalBackend, request_: Request) -> None:
    half = backend.encode_plain("🜁")[0]
    with pytest.raises(InvalidRequest, match="part of a character"):
        await collect(fork(backend, request_, "Rome.", Fork(0, half)))


async def test_perplexity_follows_its_definition(backend: LocalBackend) -> None:
    scored = await score_text(backend, backend.default_model.name, "Hello! How are you?")
    logprobs = [token.logprob for token in scored.counted]
    assert len(logprobs) == len(scored.tokens) - 1
    assert scored.perplexity == pytest.approx(math.exp(-sum(logprobs) / len(logprobs)))
    noise = await score_text(backend, backend.default_model.name, "qzx vkj wpf?")
    assert noise.perplexity
    assert scored.perplexity
    assert noise.perplexity > scored.perplexity


async def test_parts_add_up_to_prompt(backend: LocalBackend, request_: Request) -> None:
    tool = Tool("get_weather", "Weather of a city", {"type": "object", "properties": {}})
    request = Request(
        request_.model, (*ASKED, Message("assistant", "Old."), ASKED[1]), tools=(tool,)
    )
    shown = await rendered_prompt(backend, request)
    parts = {part.name: part.tokens for part in shown.parts}
    assert list(parts) == ["system", "user 1", "assistant", "user 2", "tools", "template"]
    assert sum(parts.values()) == shown.count == await backend.count_tokens(request)
    assert parts["user 1"] == len(backend.encode_plain(ASKED[1].content))
    assert "".join(token.text for token in shown.tokens) == backend.decode(
        await backend.tokenize(request)
    )


async def test_control_tokens_are_told_from_text(backend: LocalBackend) -> None:
    request = Request(backend.default_model.name, (Message("user", "What is [INST] 🜁?"),))
    shown = await rendered_prompt(backend, request)
    assert [token.text for token in shown.tokens if token.control] == ["<s>", "<INST>", "</INST>"]
    assert any(token.text == "🜁" and len(token.ids) > 1 for token in shown.tokens)


@pytest.mark.parametrize(
    ("used", "max_tokens", "said"),
    [
        (50, None, ""),
        (50, 50, ""),
        (50, 51, "the answer is cut after 50 tokens, before max tokens (51)"),
        (100, None, "1 token too long: it is refused until it is shorter"),
        (104, 10, "5 tokens too long: it is refused until it is shorter"),
    ],
)
def test_meter_says_what_is_cut(used: int, max_tokens: int | None, said: str) -> None:
    assert what_is_cut(used, 100, max_tokens) == said


async def test_backend_without_tokenizer_is_refused() -> None:
    backend = ScriptedBackend(lambda _: ["Hello"])
    name = (await backend.models())[0].name
    with pytest.raises(InvalidRequest, match="does not show its tokenizer"):
        await score_answer(backend, Request(name, ASKED), "Rome.")
