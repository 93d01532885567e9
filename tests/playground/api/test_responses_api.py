"""``/v1/responses`` through the unmodified `openai` client over the embedded model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.protocol import Request
from playground.services import Services
from playground.settings import Settings
from playground.store.responses import KeptResponse, Responses
from tests.playground.api.serving import running

GREEDY: Any = {"temperature": 0, "max_output_tokens": 8}
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture(scope="module")
def client(
    backend: LocalBackend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    responses = Responses(tmp_path_factory.mktemp("home"))
    services = Services.create(backend, Settings(), responses=responses)
    with (
        running(create_api(services)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client
    responses.close()


@pytest.fixture(scope="module")
def seen() -> list[Request]:
    return []


@pytest.fixture(scope="module")
def scripted(
    seen: list[Request], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[openai.OpenAI]:
    """Answers ``fine``; what it was asked is in ``seen``."""

    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["fi", "ne"]

    responses = Responses(tmp_path_factory.mktemp("home"))
    services = Services.create(ScriptedBackend(script), Settings(), responses=responses)
    with (
        running(create_api(services)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client
    responses.close()


def name_of(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def asked(seen: list[Request]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in seen[-1].messages]


def test_response_is_the_chat_completion(client: openai.OpenAI, model: str) -> None:
    response = client.responses.create(
        model=model, instructions="Be brief.", input="Hello!", **GREEDY
    )
    messages: Any = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello!"},
    ]
    chat = client.chat.completions.create(
        model=model, messages=messages, temperature=0, max_tokens=8
    )
    assert response.output_text == chat.choices[0].message.content
    assert response.usage
    assert chat.usage
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    assert response.usage.output_tokens == chat.usage.completion_tokens


def test_cut_response_is_incomplete(client: openai.OpenAI, model: str) -> None:
    response = client.responses.create(
        model=model, input="Hello! Who are you?", temperature=0, max_output_tokens=2
    )
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"


def test_stream_ends_as_the_whole_response(client: openai.OpenAI, model: str) -> None:
    change: Any = {"model": model, "input": "Hello!", "temperature": 0, "max_output_tokens": 40}
    whole = client.responses.create(**change)
    with client.responses.stream(**change) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == final.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events if not event.type.endswith(".delta")] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_tool_call_and_its_result(client: openai.OpenAI, model: str) -> None:
    ask: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    change: Any = {"model": model, "tools": [WEATHER], "temperature": 0}
    response = client.responses.create(input=ask, tool_choice="required", **change)
    (call,) = [item for item in response.output if item.type == "function_call"]
    assert (call.name, call.status, response.status) == ("get_weather", "completed", "completed")
    result: Any = {
        "type": "function_call_output", "call_id": call.call_id, "output": '{"temp": 21}',
    }  # fmt: skip
    by_hand = client.responses.create(input=[*ask, *response.output, result], **change)
    by_id = client.responses.create(input=[result], previous_response_id=response.id, **change)
    assert by_hand.output_text == by_id.output_text


def test_streamed_call_is_the_whole_call(client: openai.OpenAI, model: str) -> None:
    change: Any = {
        "model": model, "tools": [WEATHER], "tool_choice": "required", "temperature": 0,
        "input": "What is the weather in Paris?",
    }  # fmt: skip
    whole = client.responses.create(**change)
    with client.responses.stream(**change) as stream:
        events = list(stream)
        final = stream.get_final_response()
    (wanted,) = [item for item in whole.output if item.type == "function_call"]
    (call,) = [item for item in final.output if item.type == "function_call"]
    assert (call.name, call.arguments) == (wanted.name, wanted.arguments)
    pieces = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == call.arguments


class City(BaseModel):
    """A structured answer."""

    name: str
    is_capital: bool


def test_structured_output_parses(client: openai.OpenAI, model: str) -> None:
    response = client.responses.parse(
        model=model, input="Name a city.", text_format=City, temperature=0
    )
    assert isinstance(response.output_parsed, City)
    assert response.to_dict()["x_guarantee"] == "strict"


def test_logprobs_cover_the_text(client: openai.OpenAI, model: str) -> None:
    response = client.responses.create(
        model=model,
        input="Hello!",
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        **GREEDY,
    )
    message: Any = response.output[0]
    scores = message.content[0].logprobs
    assert "".join(each.token for each in scores) == response.output_text
    assert all(len(each.top_logprobs) == 2 for each in scores)


def test_previous_response_goes_on(scripted: openai.OpenAI, seen: list[Request]) -> None:
    create = scripted.responses.create
    model = name_of(scripted)
    first = create(model=model, instructions="Old.", input="One")
    create(model=model, instructions="New.", input="Two", previous_response_id=first.id)
    assert asked(seen) == [
        ("system", "New."), ("user", "One"), ("assistant", "fine"), ("user", "Two"),
    ]  # fmt: skip


def test_streamed_response_is_stored(scripted: openai.OpenAI, seen: list[Request]) -> None:
    model = name_of(scripted)
    with scripted.responses.stream(model=model, input="One") as stream:
        first = stream.get_final_response()
    assert scripted.responses.retrieve(first.id).output_text == "fine"
    scripted.responses.create(model=model, input="Two", previous_response_id=first.id)
    assert asked(seen) == [("user", "One"), ("assistant", "fine"), ("user", "Two")]


def test_referenced_item_is_found(scripted: openai.OpenAI, seen: list[Request]) -> None:
    model = name_of(scripted)
    first = scripted.responses.create(model=model, input="One")
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    scripted.responses.create(model=model, input=[reference, {"role": "user", "content": "Two"}])
    assert asked(seen) == [("assistant", "fine"), ("user", "Two")]


def test_answer_items_are_one_message(scripted: openai.OpenAI, seen: list[Request]) -> None:
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Both?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [],
         "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"type": "message", "role": "assistant", "id": "m", "status": "completed",
         "content": [{"type": "output_text", "text": "Wait.", "annotations": []}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b",
         "output": [{"type": "input_text", "text": "2"}]},
    ]  # fmt: skip
    scripted.responses.create(model=name_of(scripted), input=items)
    assert [message.role for message in seen[-1].messages] == ["user", "assistant", "tool", "tool"]
    answer = seen[-1].messages[1]
    assert (answer.reasoning, answer.content) == ("Hm.", "Wait.")
    assert [call.name for call in answer.tool_calls] == ["f", "g"]


def test_stored_response_retrieved_and_deleted(scripted: openai.OpenAI) -> None:
    made = scripted.responses.create(model=name_of(scripted), input="One", metadata={"team": "a"})
    got = scripted.responses.retrieve(made.id)
    assert got.to_dict() == made.to_dict()
    assert got.metadata == {"team": "a"}
    scripted.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        scripted.responses.retrieve(made.id)


def test_response_not_to_be_stored(scripted: openai.OpenAI) -> None:
    made = scripted.responses.create(model=name_of(scripted), input="One", store=False)
    with pytest.raises(openai.NotFoundError):
        scripted.responses.retrieve(made.id)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_input_items_page(scripted: openai.OpenAI, limit: int) -> None:
    model = name_of(scripted)
    first = scripted.responses.create(model=model, input="One")
    second = scripted.responses.create(model=model, input="Two", previous_response_id=first.id)
    items: Any = list(scripted.responses.input_items.list(second.id, limit=limit, order="asc"))
    assert [item.content[0].text for item in items] == ["One", "fine", "Two"]


def test_input_tokens_counted(client: openai.OpenAI, model: str) -> None:
    counted = client.responses.input_tokens.count(model=model, input="Hello!")
    response = client.responses.create(model=model, input="Hello!", **GREEDY)
    assert counted.input_tokens == response.usage.input_tokens


def test_server_without_store_says_so(fine_url: str) -> None:
    with openai.OpenAI(base_url=f"{fine_url}/v1", api_key="any", max_retries=0) as client:
        made = client.responses.create(model=name_of(client), input="One")
        assert made.to_dict()["store"] is False
        with pytest.raises(openai.BadRequestError):
            client.responses.create(
                model=name_of(client), input="Two", previous_response_id=made.id
            )


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": "gpt-4"}, "model"),
        ({"input": []}, "input"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
         "input[0].content[0].type"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
        ({"temperature": 9}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"previous_response_id": "resp_nothing"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "wrong"}}}},
         "text.format"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"speed": 1}, "speed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_refusal_names_the_field(
    client: openai.OpenAI, model: str, changes: dict[str, Any], param: str, stream: bool
) -> None:
    body = {"model": model, "input": "Hello!", "stream": stream} | changes
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
        client.post("/responses", body=body, cast_to=object)
    assert caught.value.param == param


def test_oldest_responses_are_removed(tmp_path: Path) -> None:
    with_limits = Responses(tmp_path, most=3, most_bytes=2_000)
    for name in "abcd":
        with_limits.keep(KeptResponse(name, None, [], {"output": []}))
    assert with_limits.find("b").id == "b"
    with pytest.raises(Exception, match="'a' not found"):
        with_limits.find("a")
    with_limits.keep(KeptResponse("long", None, [{"text": "x" * 3_000}], {"output": []}))
    assert with_limits.find("long").input
    with pytest.raises(Exception, match="'d' not found"):
        with_limits.find("d")
    with_limits.close()
