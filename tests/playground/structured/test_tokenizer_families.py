"""JSON and calls hold, unknown ids are never drawn, and remembered words change no token, with
every family of tokenizers.

Vocabularies have their real size; weights are random, so that anything that may be drawn is.
"""

import json
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import (
    Answer,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    collect,
)
from tests.playground.models.families import FAMILIES, PADDING, TEKKEN, write_family
from tests.playground.models.test_word_cache import check_remembered_words

pytestmark = pytest.mark.slow

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"enum": [1, 2, 30]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "The weather of a city", SCHEMA)
TEXTS = ["Hello", '{"name": "Zoë 日本", "a": [1, 23]}\n  x', " 👩‍👩‍👧", "x\u00a0y", "\x02a\x00"]


@pytest.fixture(scope="module", params=[*FAMILIES, TEKKEN])
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalBackend]:
    """A backend over a model of that family."""
    folder = tmp_path_factory.mktemp("family")
    write_family(folder, request.param)
    with LocalBackend(load(ModelSpec(str(folder)))) as backend:
        yield backend


async def answer(backend: LocalBackend, seed: int, **wanted: object) -> Answer:
    sampling = Sampling(temperature=1, seed=seed, max_tokens=200, logprobs=0)
    messages = (Message("user", "Hi"),)
    asked = Request(backend.default_model.name, messages, sampling=sampling, **wanted)  # type: ignore[arg-type]
    return await collect(backend.stream(asked))


@pytest.mark.parametrize("seed", range(3))
async def test_schema_holds(family: LocalBackend, seed: int) -> None:
    got = await answer(family, seed, response_format=ResponseFormat(SCHEMA))
    assert (got.finish_reason, got.guarantee) == ("stop", "strict")
    Draft202012Validator(SCHEMA).validate(json.loads(got.text))


@pytest.mark.parametrize("seed", range(3))
async def test_calls_hold(family: LocalBackend, seed: int) -> None:
    choice = ToolChoice("required", parallel=False)
    got = await answer(family, seed, tools=(WEATHER,), tool_choice=choice)
    assert got.finish_reason == "tool_calls"
    (call,) = got.calls
    Draft202012Validator(SCHEMA).validate(json.loads(call.arguments))


async def test_padded_ids_are_never_drawn(family: LocalBackend) -> None:
    size = family.loaded.tokenizer.vocabulary_size
    assert family.loaded.model.config.vocab_size == size + PADDING
    assert family.loaded.tokenizer.end_ids == {family.loaded.model.config.eos_token_id}
    sampling = Sampling(temperature=2.0, max_tokens=150, logprobs=20, seed=0)
    asked = Request(family.default_model.name, (Message("user", "Hi"),), sampling=sampling)
    got = await collect(family.stream(asked))
    ids = {each.token_id for token in got.logprobs for each in (token, *token.alternatives)}
    assert max(ids) < size
    assert len(got.logprobs) > 50


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_spell_the_text(family: LocalBackend, text: str) -> None:
    tokenizer = family.loaded.tokenizer
    spelled = b"".join(map(tokenizer.token_bytes, tokenizer.encode_plain(text)))
    assert spelled == text.encode()


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_text_is_the_text(family: LocalBackend, text: str) -> None:
    tokenizer = family.loaded.tokenizer
    detokenizer = tokenizer.detokenizer()
    streamed = "".join(map(detokenizer.push, tokenizer.encode_plain("Say: " + text)))
    assert (streamed + detokenizer.flush()).removeprefix("Say:").lstrip(" ") == text.lstrip(" ")


def test_remembered_words_change_no_token(family: LocalBackend) -> None:
    check_remembered_words(family.loaded.tokenizer, family.loaded.folder)
