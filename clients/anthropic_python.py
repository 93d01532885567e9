"""anthropic for Python: messages."""

from typing import Any

import anthropic

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("anthropic")
api = anthropic.Anthropic(base_url=base_url(), api_key="any", max_retries=0, timeout=60)
scenario = CLIENT.scenario
TOOLS: Any = [
    {
        "name": "get_weather",
        "description": "The weather in a city.",
        "input_schema": cases.PARAMETERS,
    }
]


def message(**options: Any) -> Any:
    """A message with the defaults of all scenarios."""
    return api.messages.create(
        **{"model": cases.MODEL, "max_tokens": 16, "messages": cases.MESSAGES, **options}
    )


def asked_weather(**options: Any) -> Any:
    """A message that has to be a call."""
    return message(
        messages=cases.ASK_WEATHER,
        tools=TOOLS,
        tool_choice={"type": "any"},
        max_tokens=80,
        **options,
    )


@scenario("chat")
def _() -> None:
    answer = message(system="Be brief.")
    assert answer.content[0].text
    assert answer.usage.output_tokens > 0


@scenario("stream")
def _() -> None:
    with api.messages.stream(model=cases.MODEL, max_tokens=16, messages=cases.MESSAGES) as stream:
        text = "".join(stream.text_stream)
        assert stream.get_final_message().content[0].text == text


@scenario("async")
async def _() -> None:
    async with anthropic.AsyncAnthropic(base_url=base_url(), api_key="any") as client:
        answer = await client.messages.create(
            model=cases.MODEL, max_tokens=8, messages=cases.MESSAGES
        )
    assert answer.content


@scenario("tools")
def _() -> None:
    answer = asked_weather()
    assert answer.stop_reason == "tool_use"
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert call.input["city"] in cases.CITIES


@scenario("named tool")
def _() -> None:
    answer = message(
        tools=TOOLS, tool_choice={"type": "tool", "name": "get_weather"}, max_tokens=80
    )
    assert answer.content[-1].name == "get_weather"


@scenario("tools in stream")
def _() -> None:
    with api.messages.stream(
        model=cases.MODEL,
        max_tokens=80,
        messages=cases.ASK_WEATHER,
        tools=TOOLS,
        tool_choice={"type": "any"},
    ) as stream:
        final = stream.get_final_message()
    assert final.content[-1].input["city"] in cases.CITIES


@scenario("parallel tools")
def _() -> None:
    choice = {"type": "any", "disable_parallel_tool_use": True}
    answer = message(tools=TOOLS, tool_choice=choice, max_tokens=120)
    assert len([block for block in answer.content if block.type == "tool_use"]) == 1


@scenario("tool round trip")
def _() -> None:
    answer = asked_weather()
    result = {
        "type": "tool_result",
        "tool_use_id": answer.content[-1].id,
        "content": "3 degrees",
    }
    history = [
        *cases.ASK_WEATHER,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    assert message(messages=history, tools=TOOLS, max_tokens=40).stop_reason


@scenario("structured output")
def _() -> None:
    form = {"format": {"type": "json_schema", "schema": cases.SCHEMA}}
    answer = message(output_config=form, max_tokens=60)
    assert '"city"' in answer.content[0].text


@scenario("stop")
def _() -> None:
    whole = message(extra_body={"temperature": 0}).content[0].text
    cut = message(stop_sequences=[whole[4:6]], extra_body={"temperature": 0})
    assert len(cut.content[0].text) < len(whole)


@scenario("prefix")
def _() -> None:
    begun = [*cases.MESSAGES, {"role": "assistant", "content": "The capital"}]
    assert message(messages=begun, max_tokens=4).content


@scenario("token count")
def _() -> None:
    counted = api.messages.count_tokens(model=cases.MODEL, messages=cases.MESSAGES)
    assert counted.input_tokens > 0


@scenario("cancel")
def _() -> None:
    with message(stream=True, max_tokens=1000) as stream:
        next(iter(stream))
    assert message().content


@scenario("models")
def _() -> None:
    assert cases.MODEL in [model.id for model in api.models.list()]


@scenario("error: unknown model")
def _() -> None:
    raises(anthropic.NotFoundError, lambda: message(model="nobody"), "not_found_error")


@scenario("error: bad schema")
def _() -> None:
    bad = {"format": {"type": "json_schema", "schema": cases.BAD_SCHEMA}}
    raises(anthropic.BadRequestError, lambda: message(output_config=bad), "town")


@scenario("error: too long")
def _() -> None:
    long = [{"role": "user", "content": cases.TOO_LONG}]
    raises(anthropic.BadRequestError, lambda: message(messages=long), "too long")


if __name__ == "__main__":
    CLIENT.run()
