"""smolagents, by its model for OpenAI's API."""

from typing import Any

from openai import BadRequestError, NotFoundError
from smolagents import ChatMessage, OpenAIModel, ToolCallingAgent, tool

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("smolagents")
scenario = CLIENT.scenario
ASKED = [ChatMessage(role="user", content=cases.QUESTION)]
ASK_WEATHER = [ChatMessage(role="user", content=cases.WEATHER_QUESTION)]


@tool
def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: The city.
    """
    return f"3 degrees in {city}"


def model(name: str = cases.MODEL, **options: Any) -> Any:
    """A model with the defaults of all scenarios."""
    return OpenAIModel(
        model_id=name,
        api_base=f"{base_url()}/v1",
        api_key="any",
        client_kwargs={"max_retries": 0},
        **{"max_tokens": 80, "temperature": 0, **options},
    )


@scenario("chat")
def _() -> None:
    answer = model().generate(ASKED)
    assert answer.content
    assert answer.token_usage.output_tokens > 0


@scenario("stream")
def _() -> None:
    assert "".join(part.content or "" for part in model().generate_stream(ASKED))


@scenario("tools")
def _() -> None:
    answer = model().generate(ASK_WEATHER, tools_to_call_from=[get_weather])
    assert answer.tool_calls[0].function.name == "get_weather"


@scenario("structured output")
def _() -> None:
    answer = model().generate(ASKED, response_format=cases.JSON_SCHEMA)
    assert '"city"' in answer.content


@scenario("stop")
def _() -> None:
    whole = model().generate(ASKED).content
    assert len(model().generate(ASKED, stop_sequences=[whole[4:6]]).content) < len(whole)


@scenario("tool round trip")
def _() -> None:
    agent = ToolCallingAgent(
        tools=[get_weather], model=model(), max_steps=2, verbosity_level=0, instructions=""
    )
    agent.prompt_templates["system_prompt"] = "Call get_weather, then final_answer."
    assert agent.run(cases.WEATHER_QUESTION) is not None
    assert any(getattr(step, "tool_calls", None) for step in agent.memory.steps)


@scenario("error: unknown model")
def _() -> None:
    raises(NotFoundError, lambda: model("nobody").generate(ASKED), "model_not_found")


@scenario("error: too long")
def _() -> None:
    long = [ChatMessage(role="user", content=cases.TOO_LONG)]
    raises(BadRequestError, lambda: model().generate(long), "context_length_exceeded")


if __name__ == "__main__":
    CLIENT.run()
