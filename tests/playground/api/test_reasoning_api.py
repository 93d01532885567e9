"""Reasoning over the API: its own field, whole and streamed, and its effort where it has one."""

from collections.abc import Iterator

import openai
import pytest

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.services import Services
from playground.settings import Settings
from tests.playground.api.serving import running
from tests.playground.models.mistral_files import write_model

pytestmark = pytest.mark.slow

QUESTION = [{"role": "user", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
"""With tools, a grammar keeps a random model from a second thinking block."""
Served = tuple[openai.OpenAI, LocalBackend]


def _served(kind: str, factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = factory.mktemp("reasoning")
    write_model(folder, kind)
    with (
        LocalBackend(load(ModelSpec(str(folder), device="cpu"))) as backend,
        running(create_api(Services.create(backend, Settings()))) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0) as client,
    ):
        yield client, backend


@pytest.fixture(scope="module")
def v15(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _served("v15", tmp_path_factory)


@pytest.fixture(scope="module")
def v13(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _served("v13", tmp_path_factory)


@pytest.fixture(scope="module")
def v7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _served("v7", tmp_path_factory)


def ask(served: Served, **wanted: object):
    client, backend = served
    thinking = backend.loaded.tokenizer.thinking
    end = min(backend.loaded.tokenizer.end_ids)
    bias = {end: 6}
    if thinking:
        bias = {thinking.begin_id: 14, thinking.end_id: 7, end: 6}
    return client.chat.completions.create(
        **{
            "model": backend.default_model.name,
            "messages": QUESTION,
            "max_tokens": 300,
            "seed": 3,
            "temperature": 1,
            "logit_bias": {str(token): value for token, value in bias.items()},
        }
        | wanted
    )


def test_reasoning_has_its_own_field(v13: Served) -> None:
    message = ask(v13, tools=TOOLS).choices[0].message
    assert message.reasoning_content
    assert message.content
    assert message.reasoning_content not in message.content


def test_stream_and_whole_reason_alike(v13: Served) -> None:
    message = ask(v13, tools=TOOLS).choices[0].message
    chunks = [chunk for chunk in ask(v13, tools=TOOLS, stream=True) if chunk.choices]
    deltas = [chunk.choices[0].delta for chunk in chunks]
    thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    text = "".join(delta.content or "" for delta in deltas)
    assert (thoughts, text) == (message.reasoning_content, message.content)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_of_the_history_is_rendered(v13: Served, field: str) -> None:
    said = {"role": "assistant", "content": "Yes."}
    follow = {"role": "user", "content": "And?"}
    without = ask(v13, messages=[*QUESTION, said, follow], max_tokens=1)
    rendered = ask(v13, messages=[*QUESTION, {**said, field: "Hm."}, follow], max_tokens=1)
    tokens = len(v13[1].loaded.tokenizer.encode_plain("Hm.")) + 2
    assert rendered.usage.prompt_tokens == without.usage.prompt_tokens + tokens


def test_effort_is_part_of_the_prompt(v15: Served) -> None:
    tokenizer = v15[1].loaded.tokenizer
    counts = {
        effort: ask(v15, reasoning_effort=effort, max_tokens=1).usage.prompt_tokens
        for effort in tokenizer.reasoning_efforts
    }
    written = {
        effort: len(tokenizer.encode_plain(f'{{"reasoning_effort": "{effort}"}}'))
        for effort in counts
    }
    assert counts["high"] - counts["none"] == written["high"] - written["none"]
    assert ask(v15, max_tokens=1).usage.prompt_tokens == counts["none"]


@pytest.mark.parametrize(
    ("name", "effort", "problem"),
    [
        ("v15", "medium", "none of none, high"),
        ("v13", "high", "no setting for the effort"),
        ("v7", "high", "does not reason"),
    ],
)
def test_effort_that_the_model_lacks_is_refused(
    request: pytest.FixtureRequest, name: str, effort: str, problem: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=problem) as raised:
        ask(request.getfixturevalue(name), reasoning_effort=effort)
    assert raised.value.param == "reasoning_effort"


def test_no_effort_is_what_other_models_do(v7: Served) -> None:
    assert ask(v7, reasoning_effort="none", max_tokens=2).choices


def test_image_is_refused_by_name(v13: Served) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError, match="image_url"):
        ask(v13, messages=[{"role": "user", "content": [image]}])
