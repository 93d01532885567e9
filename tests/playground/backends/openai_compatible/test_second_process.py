"""Another playground in a process of its own, as a backend: the page's calls and the API's."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing

import openai
import pytest

from playground.api import create_api
from playground.app import beside_remotes
from playground.backends.local import LocalBackend
from playground.backends.openai_compatible import RemoteBackend, server_of
from playground.backends.openai_compatible.io_loop import IoLoop
from playground.backends.router import ModelRouter
from playground.errors import ContextOverflow, UnknownModel
from playground.lab import ask_lanes, lane_of
from playground.protocol import (
    Answer,
    Finished,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    answer,
    collect,
)
from playground.services import Services
from playground.settings import BackendSettings, Settings, load_settings
from tests.playground.api.serving import running

pytestmark = pytest.mark.slow

FAR = "far/embedded"
HELLO = (Message("user", "Hi! How are you?"),)
GREEDY = Sampling(temperature=0, max_tokens=24)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def router(
    playground_url: str, backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelRouter]:
    """The resident model, and the one of the other process."""
    home = str(tmp_path_factory.mktemp("home"))
    settings = load_settings({"home": home, "backends": [f"far=playground+{playground_url}"]})
    with beside_remotes(settings, backend, "sweep") as made:
        yield made


@pytest.mark.parametrize("kind", ["vllm", "openai"])
async def test_other_dialects_give_the_same(
    playground_url: str, router: ModelRouter, kind: str
) -> None:
    server = server_of(
        BackendSettings.model_validate({"alias": "b", "url": playground_url} | {"kind": kind})
    )
    with closing(IoLoop()) as io, closing(RemoteBackend(server, io)) as other:
        await other.refresh()
        can = (await other.models())[0].capabilities
        got = await answer(other, Request("b/embedded", HELLO, sampling=GREEDY))
    assert (can.tools, can.schema, can.logprobs, can.enforces) == (True, True, True, False)
    assert got.text == (await answer(router, Request(FAR, HELLO, sampling=GREEDY))).text


async def test_far_model_answers_as_near(router: ModelRouter) -> None:
    far = await answer(router, Request(FAR, HELLO, sampling=GREEDY))
    near = await answer(router, Request("embedded", HELLO, sampling=GREEDY))
    assert far.text == near.text
    assert far.usage.completion_tokens == near.usage.completion_tokens


async def test_far_prompt_is_scored_as_near(router: ModelRouter) -> None:
    scored, ids, prefix = [], [], []
    for model in (FAR, "embedded"):
        ids.append(await router.prompt_ids(Request(model, HELLO)))
        prefix.append(await router.prefix_id(model))
        asked = Sampling(temperature=0.0, max_tokens=0, prompt_logprobs=1)
        got = await collect(router.stream(Request(model, prompt=tuple(ids[-1]), sampling=asked)))
        scored.append([token.logprob for token in got.prompt_logprobs[1:]])
    assert ids[0] == ids[1]
    assert prefix[0] == prefix[1] is not None
    assert scored[0] == pytest.approx(scored[1], abs=1e-4)


async def test_far_capabilities_are_found(router: ModelRouter) -> None:
    (info,) = [info for info in await router.models() if info.name == FAR]
    can = info.capabilities
    assert (can.tools, can.schema, can.logprobs) == (True, True, True)
    assert info.context_length == 2048


async def test_far_call_is_made(router: ModelRouter) -> None:
    request = Request(
        FAR,
        (Message("user", "What is the weather in Paris?"),),
        tools=(Tool("get_weather", "Current weather in a city.", CITY),),
        tool_choice=ToolChoice("required"),
        sampling=GREEDY,
    )
    got = await answer(router, request)
    assert [call.name for call in got.calls] == ["get_weather"]
    assert "city" in json.loads(got.calls[0].arguments)


async def test_far_json_meets_its_schema(router: ModelRouter) -> None:
    request = Request(FAR, HELLO, response_format=ResponseFormat(CITY), sampling=GREEDY)
    got = await answer(router, request)
    assert got.guarantee == "strict"
    assert set(json.loads(got.text)) >= {"city"}


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        (ResponseFormat(kind="regex", pattern="a{3}|b"), ("aaa", "b")),
        (ResponseFormat(kind="choice", choices=("yes", "no")), ("yes", "no")),
        (ResponseFormat(kind="grammar", pattern='start: "a" "b"'), ("ab",)),
    ],
)
async def test_far_format_is_followed(
    router: ModelRouter, form: ResponseFormat, texts: tuple[str, ...]
) -> None:
    got = await answer(router, Request(FAR, HELLO, response_format=form, sampling=GREEDY))
    assert got.text in texts
    assert got.guarantee == "strict"


async def test_far_logprobs_are_those_of_near(router: ModelRouter) -> None:
    sampling = Sampling(temperature=0, max_tokens=4, logprobs=2)
    far = await answer(router, Request(FAR, HELLO, sampling=sampling))
    near = await answer(router, Request("embedded", HELLO, sampling=sampling))
    assert [token.text for token in far.logprobs] == [token.text for token in near.logprobs]
    assert [token.logprob for token in far.logprobs] == pytest.approx(
        [token.logprob for token in near.logprobs], abs=1e-3
    )


async def test_far_answer_is_cancelled(router: ModelRouter) -> None:
    request = Request(FAR, HELLO, sampling=Sampling(temperature=0, ignore_eos=True))
    reason = ""
    async for event in router.stream(request):
        router.cancel(request.id)
        reason = event.finish_reason if isinstance(event, Finished) else ""
    assert reason == "cancelled"


async def test_far_overflow_has_its_numbers(router: ModelRouter) -> None:
    long = (Message("user", "word " * 4000),)
    with pytest.raises(ContextOverflow, match="2048"):
        await collect(router.stream(Request(FAR, long)))


async def test_unknown_far_model_is_refused(router: ModelRouter) -> None:
    with pytest.raises(UnknownModel, match="far/none"):
        await collect(router.stream(Request("far/none", HELLO)))


async def test_lanes_stand_side_by_side(router: ModelRouter) -> None:
    lanes = [await lane_of(router, name, sampling=GREEDY) for name in ("embedded", FAR)]
    ended: dict[int, Answer] = {}
    async for event in ask_lanes(router, lanes, HELLO):
        assert event.error is None
        if event.answer:
            ended[event.lane] = event.answer
    assert ended[0].text == ended[1].text


def test_api_passes_requests_on(router: ModelRouter) -> None:
    api = create_api(Services.create(router, Settings()))
    with running(api) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        assert FAR in {model.id for model in client.models.list()}
        stream = client.chat.completions.create(
            model=FAR,
            messages=[{"role": "user", "content": "Hi! How are you?"}],
            temperature=0,
            stream=True,
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(
                model="far/none", messages=[{"role": "user", "content": "Hi"}]
            )
    near = asyncio.run(answer(router, Request("embedded", HELLO, sampling=Sampling(temperature=0))))
    assert text == near.text
