"""openai-agents, over responses (its default) and over chat completions."""

from typing import Any, Literal

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI, NotFoundError
from pydantic import BaseModel

from clients import cases
from clients.scenarios import Client, base_url

set_tracing_disabled(True)
CLIENT = Client("openai-agents")
SETTINGS = ModelSettings(temperature=0, max_tokens=80)
REQUIRED = ModelSettings(temperature=0, max_tokens=80, tool_choice="required")


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


@function_tool
def get_weather(city: Literal["Oslo", "Paris"]) -> str:
    """The weather in a city."""
    return f"3 degrees in {city}"


def agent(over: str, **options: Any) -> Agent[Any]:
    """An agent over one of the two APIs."""
    client = AsyncOpenAI(base_url=f"{base_url()}/v1", api_key="any", max_retries=0)
    kind: Any = OpenAIResponsesModel if over == "responses" else OpenAIChatCompletionsModel
    name = options.pop("model_name", cases.MODEL)
    return Agent(
        **{"name": "a", "model": kind(name, client), "model_settings": SETTINGS, **options}
    )


def register(over: str) -> None:
    """Register the scenarios over one of the two APIs."""

    @CLIENT.scenario(f"{over}: chat")
    async def _() -> None:
        assert (await Runner.run(agent(over), cases.QUESTION)).final_output

    @CLIENT.scenario(f"{over}: stream")
    async def _() -> None:
        running = Runner.run_streamed(agent(over), cases.QUESTION)
        events = [event async for event in running.stream_events()]
        assert running.final_output
        assert len(events) > 2

    @CLIENT.scenario(f"{over}: tool round trip")
    async def _() -> None:
        asked = agent(over, tools=[get_weather], model_settings=REQUIRED)
        done = await Runner.run(asked, cases.WEATHER_QUESTION, max_turns=6)
        kinds = [item.type for item in done.new_items]
        assert kinds[:2] == ["tool_call_item", "tool_call_output_item"]

    @CLIENT.scenario(f"{over}: structured output")
    async def _() -> None:
        done = await Runner.run(agent(over, output_type=Answer), cases.QUESTION)
        assert isinstance(done.final_output, Answer)

    @CLIENT.scenario(f"{over}: handoff")
    async def _() -> None:
        other = agent(over, name="weather")
        first = agent(over, handoffs=[other], model_settings=REQUIRED)
        done = await Runner.run(first, cases.WEATHER_QUESTION)
        assert done.last_agent.name == "weather"

    @CLIENT.scenario(f"{over}: error: unknown model")
    async def _() -> None:
        try:
            await Runner.run(agent(over, model_name="nobody"), cases.QUESTION)
        except NotFoundError as error:
            assert error.code == "model_not_found"
        else:
            raise AssertionError("not refused")


register("responses")
register("chat")


@CLIENT.scenario("responses: goes on from one before")
async def _() -> None:
    first = await Runner.run(agent("responses"), cases.QUESTION)
    done = await Runner.run(
        agent("responses"), "And of Norway?", previous_response_id=first.last_response_id
    )
    assert done.final_output


if __name__ == "__main__":
    CLIENT.run()
