"""openai for Python: chat, responses, completions, files, batches, fine-tuning."""

import json
import time
from typing import Any, Literal

import openai
from pydantic import BaseModel

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("openai")
api = openai.OpenAI(base_url=f"{base_url()}/v1", api_key="any", max_retries=0, timeout=60)
scenario = CLIENT.scenario


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


def chat(**options: Any) -> Any:
    """A chat completion with the defaults of all scenarios."""
    return api.chat.completions.create(
        **{
            "model": cases.MODEL,
            "messages": cases.MESSAGES,
            "max_tokens": 16,
            "temperature": 0,
            **options,
        }
    )


def asked_weather(**options: Any) -> Any:
    """A chat whose answer has to be a call."""
    return chat(
        messages=cases.ASK_WEATHER,
        tools=cases.TOOLS,
        tool_choice="required",
        max_tokens=80,
        **options,
    )


@scenario("chat")
def _() -> None:
    answer = chat()
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens > 0
    assert answer._request_id


@scenario("stream")
def _() -> None:
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chat(stream=True))
    assert text == chat().choices[0].message.content


@scenario("usage in stream")
def _() -> None:
    *_, last = chat(stream=True, stream_options={"include_usage": True})
    assert last.usage.completion_tokens > 0


@scenario("async")
async def _() -> None:
    async with openai.AsyncOpenAI(base_url=f"{base_url()}/v1", api_key="any") as client:
        answer = await client.chat.completions.create(
            model=cases.MODEL, messages=cases.MESSAGES, max_tokens=8
        )
    assert answer.choices[0].message.content


@scenario("tools")
def _() -> None:
    answer = asked_weather()
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in cases.CITIES
    assert answer.choices[0].finish_reason == "tool_calls"


@scenario("named tool")
def _() -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    answer = chat(tools=cases.TOOLS, tool_choice=named, max_tokens=80)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


@scenario("tools in stream")
def _() -> None:
    with api.chat.completions.stream(
        model=cases.MODEL,
        messages=cases.ASK_WEATHER,
        tools=cases.TOOLS,
        tool_choice="required",
        max_tokens=80,
    ) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


@scenario("parallel tools")
def _() -> None:
    answer = asked_weather(parallel_tool_calls=False)
    assert len(answer.choices[0].message.tool_calls) == 1
    two = [*cases.TOOLS, {"type": "function", "function": {**cases.FUNCTION, "name": "get_time"}}]
    answer = chat(tools=two, tool_choice="required", parallel_tool_calls=True, max_tokens=200)
    ids = [call.id for call in answer.choices[0].message.tool_calls]
    assert len(set(ids)) == len(ids) > 0


@scenario("tool round trip")
def _() -> None:
    message = asked_weather().choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "3 degrees"}
    answer = chat(messages=[*cases.ASK_WEATHER, message, result], tools=cases.TOOLS, max_tokens=40)
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


@scenario("structured output")
def _() -> None:
    answer = api.chat.completions.parse(
        model=cases.MODEL, messages=cases.MESSAGES, response_format=Answer, max_tokens=60
    )
    assert isinstance(answer.choices[0].message.parsed, Answer)


@scenario("structured output in stream")
def _() -> None:
    with api.chat.completions.stream(
        model=cases.MODEL, messages=cases.MESSAGES, response_format=Answer, max_tokens=60
    ) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(parsed, Answer)


@scenario("JSON mode")
def _() -> None:
    answer = chat(response_format={"type": "json_object"}, max_tokens=200)
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


@scenario("stop")
def _() -> None:
    whole = chat().choices[0].message.content
    cut = chat(stop=[whole[4:6]]).choices[0]
    assert cut.finish_reason == "stop"
    assert whole.startswith(cut.message.content)
    assert len(cut.message.content) < len(whole)


@scenario("n")
def _() -> None:
    assert len(chat(n=3, temperature=1, seed=1).choices) == 3


@scenario("logprobs")
def _() -> None:
    entries = chat(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert all(len(entry.top_logprobs) == 2 for entry in entries)


@scenario("seed")
def _() -> None:
    texts = {chat(temperature=1, seed=7).choices[0].message.content for _ in range(2)}
    assert len(texts) == 1


@scenario("history with an empty answer")
def _() -> None:
    empty = {"role": "assistant", "content": ""}
    chat(messages=[*cases.MESSAGES, empty, {"role": "user", "content": "Go on"}])


@scenario("error: unknown model")
def _() -> None:
    raises(openai.NotFoundError, lambda: chat(model="nobody"), "model_not_found")


@scenario("error: bad schema")
def _() -> None:
    raises(openai.BadRequestError, lambda: chat(response_format=cases.BAD_FORMAT), "town")


@scenario("error: too long")
def _() -> None:
    long = [{"role": "user", "content": cases.TOO_LONG}]
    raises(openai.BadRequestError, lambda: chat(messages=long), "context_length_exceeded")


@scenario("error: unknown parameter")
def _() -> None:
    raises(openai.BadRequestError, lambda: chat(extra_body={"bogus": 1}), "bogus")


@scenario("cancel")
def _() -> None:
    with chat(stream=True, max_tokens=1000, extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
    assert chat().choices[0].message.content


@scenario("models")
def _() -> None:
    ids = [model.id for model in api.models.list()]
    assert cases.MODEL in ids
    assert api.models.retrieve(cases.MODEL).id == cases.MODEL


@scenario("completions")
def _() -> None:
    answer = api.completions.create(
        model=cases.MODEL, prompt="The capital", max_tokens=4, echo=True, logprobs=1
    )
    choice = answer.choices[0]
    assert choice.text.startswith("The capital")
    assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.tokens)


@scenario("stored completions")
def _() -> None:
    made = chat(store=True, metadata={"matrix": "yes"})
    assert api.chat.completions.retrieve(made.id).id == made.id
    listed = api.chat.completions.list(metadata={"matrix": "yes"})
    assert made.id in [completion.id for completion in listed]
    assert api.chat.completions.delete(made.id).deleted


def upload(data: bytes, purpose: Any) -> Any:
    """Upload bytes as a file of JSON lines."""
    return api.files.create(file=("rows.jsonl", data), purpose=purpose)


@scenario("files")
def _() -> None:
    file = upload(cases.ROWS, "fine-tune")
    assert file.id in [each.id for each in api.files.list(purpose="fine-tune")]
    assert api.files.retrieve(file.id).bytes == len(cases.ROWS)
    assert api.files.content(file.id).read() == cases.ROWS
    assert api.files.delete(file.id).deleted


@scenario("uploads in parts")
def _() -> None:
    half = len(cases.ROWS) // 2
    made = api.uploads.create(
        bytes=len(cases.ROWS), filename="r.jsonl", mime_type="text/jsonl", purpose="fine-tune"
    )
    pieces = (cases.ROWS[:half], cases.ROWS[half:])
    parts = [api.uploads.parts.create(made.id, data=piece).id for piece in pieces]
    file = api.uploads.complete(made.id, part_ids=parts).file
    assert file is not None
    assert api.files.content(file.id).read() == cases.ROWS


@scenario("batch")
def _() -> None:
    body = {"model": cases.MODEL, "messages": cases.MESSAGES, "max_tokens": 4}
    url = "/v1/chat/completions"
    lines = [{"custom_id": str(n), "method": "POST", "url": url, "body": body} for n in range(3)]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = upload(data, "batch")
    batch = api.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    until = time.monotonic() + 60
    while batch.status in ("validating", "in_progress", "finalizing"):
        assert time.monotonic() < until
        time.sleep(0.2)
        batch = api.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.output_file_id is not None
    assert len(api.files.content(batch.output_file_id).text.splitlines()) == 3


@scenario("fine-tuning")
def _() -> None:
    file = upload(cases.ROWS, "fine-tune")
    job = api.fine_tuning.jobs.create(
        training_file=file.id, model=cases.MODEL, suffix="matrix-openai", seed=1
    )
    assert api.fine_tuning.jobs.retrieve(job.id).training_file == file.id
    assert job.id in [each.id for each in api.fine_tuning.jobs.list()]
    assert list(api.fine_tuning.jobs.list_events(job.id))
    assert api.fine_tuning.jobs.cancel(job.id).status == "cancelled"


@scenario("error: bad training file")
def _() -> None:
    raises(openai.BadRequestError, lambda: upload(b"", "fine-tune"), "empty")


@scenario("embeddings refused")
def _() -> None:
    def ask() -> object:
        return api.embeddings.create(model=cases.MODEL, input="Hello")

    raises(openai.BadRequestError, ask, "embeddings_not_supported")


def respond(**options: Any) -> Any:
    """A response with the defaults of all scenarios."""
    return api.responses.create(
        **{"model": cases.MODEL, "input": cases.QUESTION, "max_output_tokens": 16, **options}
    )


FLAT_TOOLS: Any = [{"type": "function", **cases.FUNCTION, "strict": True}]


@scenario("responses: chat")
def _() -> None:
    assert respond().output_text


@scenario("responses: stream")
def _() -> None:
    events = list(respond(stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type in ("response.completed", "response.incomplete")


@scenario("responses: tool round trip")
def _() -> None:
    first = respond(
        input=cases.WEATHER_QUESTION,
        tools=FLAT_TOOLS,
        tool_choice="required",
        max_output_tokens=80,
    )
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"}
    second = respond(input=[result], tools=FLAT_TOOLS, previous_response_id=first.id)
    assert second.previous_response_id == first.id


@scenario("responses: structured output")
def _() -> None:
    response = api.responses.parse(
        model=cases.MODEL, input=cases.QUESTION, text_format=Answer, max_output_tokens=60
    )
    assert isinstance(response.output_parsed, Answer)


@scenario("responses: stored")
def _() -> None:
    made = respond()
    assert api.responses.retrieve(made.id).id == made.id
    assert [item.type for item in api.responses.input_items.list(made.id)] == ["message"]
    api.responses.delete(made.id)
    raises(openai.NotFoundError, lambda: api.responses.retrieve(made.id))


@scenario("token count")
def _() -> None:
    counted = api.responses.input_tokens.count(model=cases.MODEL, input=cases.QUESTION)
    assert counted.input_tokens > 0


if __name__ == "__main__":
    CLIENT.run()
