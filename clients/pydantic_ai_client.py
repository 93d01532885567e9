"""pydantic-ai, over chat completions, responses, Mistral's client and Anthropic's."""

from typing import Any, Literal

import anthropic
from mistralai.client import Mistral
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    ModelHTTPError,
    NativeOutput,
    PromptedOutput,
    ToolOutput,
    UnexpectedModelBehavior,
)
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.mistral import MistralModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.mistral import MistralProvider
from pydantic_ai.providers.openai import OpenAIProvider

from clients import cases
from clients.scenarios import Client, base_url

CLIENT = Client("pydantic-ai", "pydantic-ai-slim")
SETTINGS: Any = {"temperature": 0, "max_tokens": 80}


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


def model(over: str, name: str = cases.MODEL) -> Any:
    """A model over one of the APIs."""
    if over == "messages":
        client = anthropic.AsyncAnthropic(base_url=base_url(), api_key="any", max_retries=0)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))
    if over == "mistral":
        own = Mistral(api_key="any", server_url=base_url())
        return MistralModel(name, provider=MistralProvider(mistral_client=own))
    provider = OpenAIProvider(base_url=f"{base_url()}/v1", api_key="any")
    kind = OpenAIResponsesModel if over == "responses" else OpenAIChatModel
    return kind(name, provider=provider)


def agent(over: str, **options: Any) -> Any:
    """An agent over one of the APIs."""
    return Agent(model(over), model_settings=SETTINGS, retries=2, **options)


def register(over: str) -> None:
    """Register the scenarios over one of the APIs."""

    @CLIENT.scenario(f"{over}: chat")
    async def _() -> None:
        assert (await agent(over).run(cases.QUESTION)).output

    @CLIENT.scenario(f"{over}: stream")
    async def _() -> None:
        async with agent(over).run_stream(cases.QUESTION) as running:
            assert [text async for text in running.stream_text(debounce_by=None)]

    @CLIENT.scenario(f"{over}: tool round trip")
    async def _() -> None:
        asked = agent(over, output_type=ToolOutput(Answer))

        @asked.tool_plain
        def get_weather(city: Literal["Oslo", "Paris"]) -> str:
            """The weather in a city."""
            return f"3 degrees in {city}"

        assert isinstance((await asked.run(cases.WEATHER_QUESTION)).output, Answer)

    @CLIENT.scenario(f"{over}: structured output by tool")
    async def _() -> None:
        done = await agent(over, output_type=ToolOutput(Answer)).run(cases.QUESTION)
        assert isinstance(done.output, Answer)

    @CLIENT.scenario(f"{over}: history")
    async def _() -> None:
        first = await agent(over).run(cases.QUESTION)
        again = await agent(over).run("And of Norway?", message_history=first.all_messages())
        assert again.output

    @CLIENT.scenario(f"{over}: error: unknown model")
    async def _() -> None:
        try:
            await Agent(model(over, "nobody"), model_settings=SETTINGS).run("Hi")
        except ModelHTTPError as error:
            assert error.status_code == 404
        else:
            raise AssertionError("not refused")


for each in ("chat", "responses", "messages", "mistral"):
    register(each)


@CLIENT.scenario("chat: structured output")
async def _() -> None:
    done = await agent("chat", output_type=NativeOutput(Answer)).run(cases.QUESTION)
    assert isinstance(done.output, Answer)


@CLIENT.scenario("responses: structured output")
async def _() -> None:
    done = await agent("responses", output_type=NativeOutput(Answer)).run(cases.QUESTION)
    assert isinstance(done.output, Answer)


@CLIENT.scenario("chat: retry of a prompted output")
async def _() -> None:
    """It sends a system message after the answer; the answer's form is prompted, so not certain."""
    try:
        await agent("chat", output_type=PromptedOutput(Answer)).run(cases.QUESTION)
    except UnexpectedModelBehavior as error:
        assert "retries" in str(error), error


if __name__ == "__main__":
    CLIENT.run()
