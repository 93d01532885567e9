"""mistralai: Mistral's own client."""

from typing import Any, Literal

from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from pydantic import BaseModel

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("mistralai")
api = Mistral(api_key="any", server_url=base_url())
scenario = CLIENT.scenario


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


def chat(**options: Any) -> Any:
    """A chat completion with the defaults of all scenarios."""
    return api.chat.complete(
        **{
            "model": cases.MODEL,
            "messages": cases.MESSAGES,
            "max_tokens": 16,
            "temperature": 0,
            **options,
        }
    )


def asked_weather() -> Any:
    """The message of a chat that has to be a call."""
    return (
        chat(messages=cases.ASK_WEATHER, tools=cases.TOOLS, tool_choice="any", max_tokens=80)
        .choices[0]
        .message
    )


@scenario("chat")
def _() -> None:
    assert chat().choices[0].message.content


@scenario("stream")
def _() -> None:
    events = api.chat.stream(
        model=cases.MODEL, messages=cases.MESSAGES, max_tokens=16, temperature=0
    )
    text = "".join(event.data.choices[0].delta.content or "" for event in events)
    assert text == chat().choices[0].message.content


@scenario("async")
async def _() -> None:
    answer = await api.chat.complete_async(model=cases.MODEL, messages=cases.MESSAGES, max_tokens=8)
    assert answer.choices[0].message.content


@scenario("tools")
def _() -> None:
    assert asked_weather().tool_calls[0].function.name == "get_weather"


@scenario("tools in stream")
def _() -> None:
    events = api.chat.stream(
        model=cases.MODEL,
        messages=cases.ASK_WEATHER,
        tools=cases.TOOLS,
        tool_choice="any",
        max_tokens=80,
    )
    deltas = [event.data.choices[0].delta for event in events]
    assert [call for delta in deltas for call in delta.tool_calls or []]


@scenario("parallel tools")
def _() -> None:
    answer = chat(tools=cases.TOOLS, tool_choice="any", parallel_tool_calls=False, max_tokens=120)
    assert len(answer.choices[0].message.tool_calls) == 1


@scenario("tool round trip")
def _() -> None:
    message = asked_weather()
    call = message.tool_calls[0]
    result = {
        "role": "tool",
        "name": call.function.name,
        "content": "3 degrees",
        "tool_call_id": call.id,
    }
    chat(messages=[*cases.ASK_WEATHER, message, result], tools=cases.TOOLS, max_tokens=40)


@scenario("structured output")
def _() -> None:
    answer = api.chat.parse(
        model=cases.MODEL, messages=cases.MESSAGES, response_format=Answer, max_tokens=60
    )
    assert isinstance(answer.choices[0].message.parsed, Answer)


@scenario("JSON mode")
def _() -> None:
    answer = chat(response_format={"type": "json_object"}, max_tokens=200)
    assert answer.choices[0].message.content.startswith("{")


@scenario("stop")
def _() -> None:
    whole = chat().choices[0].message.content
    assert len(chat(stop=[whole[4:6]]).choices[0].message.content) < len(whole)


@scenario("n")
def _() -> None:
    assert len(chat(n=2, temperature=1).choices) == 2


@scenario("seed")
def _() -> None:
    texts = {chat(temperature=1, random_seed=3).choices[0].message.content for _ in range(2)}
    assert len(texts) == 1


@scenario("safe prompt")
def _() -> None:
    longer = chat(safe_prompt=True).usage.prompt_tokens
    assert longer > chat().usage.prompt_tokens


@scenario("prefix")
def _() -> None:
    begun = [*cases.MESSAGES, {"role": "assistant", "content": "The capital", "prefix": True}]
    assert chat(messages=begun).choices[0].message.content


@scenario("models")
def _() -> None:
    assert cases.MODEL in [model.id for model in api.models.list().data]
    assert api.models.retrieve(model_id=cases.MODEL).id == cases.MODEL


@scenario("files")
def _() -> None:
    made = api.files.upload(
        file={"file_name": "rows.jsonl", "content": cases.ROWS}, purpose="fine-tune"
    )
    assert made.id in [file.id for file in api.files.list().data]
    assert api.files.retrieve(file_id=made.id).size_bytes == len(cases.ROWS)
    assert api.files.download(file_id=made.id).read() == cases.ROWS
    assert api.files.delete(file_id=made.id).deleted


@scenario("cancel")
def _() -> None:
    with api.chat.stream(model=cases.MODEL, messages=cases.MESSAGES, max_tokens=1000) as events:
        next(iter(events))
    assert chat().choices


@scenario("error: unknown model")
def _() -> None:
    raises(MistralError, lambda: chat(model="nobody"), "model_not_found")


@scenario("error: bad schema")
def _() -> None:
    raises(MistralError, lambda: chat(response_format=cases.BAD_FORMAT), "town")


@scenario("error: too long")
def _() -> None:
    long = [{"role": "user", "content": cases.TOO_LONG}]
    raises(MistralError, lambda: chat(messages=long), "context_length_exceeded")


@scenario("fill-in-the-middle refused")
def _() -> None:
    def ask() -> object:
        return api.fim.complete(model=cases.MODEL, prompt="def f(", suffix="return")

    raises(MistralError, ask, "fill")


@scenario("agents refused")
def _() -> None:
    def ask() -> object:
        return api.agents.complete(agent_id="a", messages=cases.MESSAGES)

    raises(MistralError, ask, "agent")


@scenario("embeddings refused")
def _() -> None:
    def ask() -> object:
        return api.embeddings.create(model=cases.MODEL, inputs=["Hello"])

    raises(MistralError, ask, "embeddings_not_supported")


if __name__ == "__main__":
    CLIENT.run()
