"""llama-index, by its client for servers that are like OpenAI's."""

from typing import Any, Literal

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from openai import BadRequestError, NotFoundError
from pydantic import BaseModel

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("llama-index", "llama-index-llms-openai-like")
scenario = CLIENT.scenario
ASKED = [ChatMessage(role="user", content=cases.QUESTION)]


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


def get_weather(city: Literal["Oslo", "Paris"]) -> str:
    """The weather in a city."""
    return f"3 degrees in {city}"


TOOL = FunctionTool.from_defaults(get_weather)


def model(**options: Any) -> Any:
    """A model with the defaults of all scenarios."""
    return OpenAILike(
        **{
            "model": cases.MODEL,
            "api_base": f"{base_url()}/v1",
            "api_key": "any",
            "is_chat_model": True,
            "is_function_calling_model": True,
            "context_window": 2048,
            "max_tokens": 80,
            "max_retries": 0,
            **options,
        }
    )


@scenario("chat")
def _() -> None:
    assert model().chat(ASKED).message.content


@scenario("stream")
def _() -> None:
    assert "".join(part.delta or "" for part in model().stream_chat(ASKED))


@scenario("async")
async def _() -> None:
    assert (await model().achat(ASKED)).message.content


@scenario("completions")
def _() -> None:
    plain = model(is_chat_model=False, max_tokens=8)
    assert plain.complete("The capital").text
    assert list(plain.stream_complete("The capital"))


@scenario("tools")
def _() -> None:
    answer = model().chat_with_tools([TOOL], cases.WEATHER_QUESTION, tool_required=True)
    assert model().get_tool_calls_from_response(answer)[0].tool_name == "get_weather"


@scenario("tools in stream")
def _() -> None:
    parts = model().stream_chat_with_tools([TOOL], cases.WEATHER_QUESTION, tool_required=True)
    *_, last = parts
    assert model().get_tool_calls_from_response(last)


@scenario("tool round trip")
async def _() -> None:
    agent = FunctionAgent(tools=[TOOL], llm=model(), system_prompt="Be brief.")
    assert await agent.run(cases.WEATHER_QUESTION)


@scenario("structured output")
def _() -> None:
    answer = model().as_structured_llm(Answer).complete(cases.QUESTION)
    assert isinstance(answer.raw, Answer)


@scenario("structured output in stream")
def _() -> None:
    strict = model(should_use_structured_outputs=True)
    *_, last = strict.as_structured_llm(Answer).stream_chat(ASKED)
    assert last.raw.city in cases.CITIES


@scenario("JSON schema")
def _() -> None:
    strict = model(should_use_structured_outputs=True)
    assert isinstance(strict.as_structured_llm(Answer).complete(cases.QUESTION).raw, Answer)


@scenario("logprobs")
def _() -> None:
    assert model(logprobs=True, top_logprobs=2).chat(ASKED).logprobs


@scenario("error: unknown model")
def _() -> None:
    raises(NotFoundError, lambda: model(model="nobody").chat(ASKED), "model_not_found")


@scenario("error: too long")
def _() -> None:
    long = [ChatMessage(role="user", content=cases.TOO_LONG)]
    raises(BadRequestError, lambda: model().chat(long), "context_length_exceeded")


if __name__ == "__main__":
    CLIENT.run()
