"""langchain-openai (chat and responses), langchain-mistralai and langgraph."""

from typing import Any, Literal

from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_mistralai import ChatMistralAI
from langchain_openai import ChatOpenAI, OpenAI
from langgraph.prebuilt import create_react_agent
from openai import BadRequestError, NotFoundError
from pydantic import BaseModel

from clients import cases
from clients.scenarios import Client, base_url, raises

URL = f"{base_url()}/v1"
OPENAI = Client("langchain-openai")
MISTRAL = Client("langchain-mistralai")
GRAPH = Client("langgraph")


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


@tool
def get_weather(city: Literal["Oslo", "Paris"]) -> str:
    """The weather in a city."""
    return f"3 degrees in {city}"


def model(**options: Any) -> Any:
    """A chat model with the defaults of all scenarios."""
    return ChatOpenAI(
        **{
            "base_url": URL,
            "api_key": "any",
            "model": cases.MODEL,
            "max_tokens": 80,
            "max_retries": 0,
            "temperature": 0,
            **options,
        }
    )


def mistral(**options: Any) -> Any:
    """Mistral's chat model with the defaults of all scenarios."""
    return ChatMistralAI(
        **{
            "base_url": URL,
            "api_key": "any",
            "model": cases.MODEL,
            "max_tokens": 80,
            "max_retries": 1,
            "temperature": 0,
            **options,
        }
    )


def round_trip(model: Any, choice: str) -> None:
    """Have a tool called, and give its result back."""
    call = model.bind_tools([get_weather], tool_choice=choice).invoke(cases.WEATHER_QUESTION)
    result = get_weather.invoke(call.tool_calls[0])
    assert isinstance(result, ToolMessage)
    history = [HumanMessage(cases.WEATHER_QUESTION), call, result]
    assert isinstance(model.bind_tools([get_weather]).invoke(history), AIMessage)


for client, make, choices in (
    (OPENAI, model, ("any", "required", "get_weather")),
    (MISTRAL, mistral, ("any",)),
):

    def register(client: Client, make: Any, choices: tuple[str, ...]) -> None:
        """Register what both have."""

        @client.scenario("chat")
        def _() -> None:
            assert make().invoke(cases.QUESTION).content

        @client.scenario("stream")
        def _() -> None:
            text = "".join(chunk.content for chunk in make().stream(cases.QUESTION))
            assert text == make().invoke(cases.QUESTION).content

        @client.scenario("async")
        async def _() -> None:
            assert (await make().ainvoke(cases.QUESTION)).content

        @client.scenario("several at once")
        def _() -> None:
            assert len(make(max_tokens=8).batch([cases.QUESTION] * 4)) == 4

        @client.scenario("tools")
        def _() -> None:
            for choice in choices:
                bound = make().bind_tools([get_weather], tool_choice=choice)
                assert bound.invoke(cases.WEATHER_QUESTION).tool_calls

        @client.scenario("tools in stream")
        def _() -> None:
            bound = make().bind_tools([get_weather], tool_choice="any")
            total: Any = None
            for chunk in bound.stream(cases.WEATHER_QUESTION):
                total = chunk if total is None else total + chunk
            assert total.tool_calls[0]["name"] == "get_weather"

        @client.scenario("tool round trip")
        def _() -> None:
            round_trip(make(), "any")

        @client.scenario("structured output")
        def _() -> None:
            for method in ("json_schema", "function_calling"):
                bound = make().with_structured_output(Answer, method=method)
                assert isinstance(bound.invoke(cases.QUESTION), Answer)

        @client.scenario("JSON mode")
        def _() -> None:
            bound = make(max_tokens=300).bind(response_format={"type": "json_object"})
            assert bound.invoke(cases.QUESTION).content.startswith("{")

    register(client, make, choices)


@MISTRAL.scenario("seed")
def _() -> None:
    seeded = mistral(random_seed=3, temperature=1)
    assert len({seeded.invoke(cases.QUESTION).content for _ in range(2)}) == 1


@MISTRAL.scenario("safe prompt")
def _() -> None:
    assert mistral(safe_mode=True).invoke(cases.QUESTION).content


@OPENAI.scenario("usage in stream")
def _() -> None:
    chunks = list(model(stream_usage=True).stream(cases.QUESTION))
    assert sum((chunk.usage_metadata or {}).get("total_tokens", 0) for chunk in chunks) > 0


@OPENAI.scenario("logprobs")
def _() -> None:
    answer = model(logprobs=True, top_logprobs=2).invoke(cases.QUESTION)
    assert answer.response_metadata["logprobs"]["content"]


@OPENAI.scenario("n")
def _() -> None:
    made = model(n=2, temperature=1).generate([[HumanMessage(cases.QUESTION)]])
    assert len(made.generations[0]) == 2


@OPENAI.scenario("stop")
def _() -> None:
    whole = model().invoke(cases.QUESTION).content
    assert len(model().invoke(cases.QUESTION, stop=[whole[4:6]]).content) < len(whole)


@OPENAI.scenario("seed")
def _() -> None:
    seeded = model(seed=3, temperature=1)
    assert len({seeded.invoke(cases.QUESTION).content for _ in range(2)}) == 1


@OPENAI.scenario("completions")
def _() -> None:
    plain = OpenAI(base_url=URL, api_key="any", model=cases.MODEL, max_tokens=4)
    assert plain.invoke("The capital")
    assert "".join(plain.stream("The capital"))


@OPENAI.scenario("responses: chat")
def _() -> None:
    assert model(use_responses_api=True).invoke(cases.QUESTION).text


@OPENAI.scenario("responses: stream")
def _() -> None:
    chunks = list(model(use_responses_api=True).stream(cases.QUESTION))
    assert "".join(chunk.text for chunk in chunks)


@OPENAI.scenario("responses: tool round trip")
def _() -> None:
    round_trip(model(use_responses_api=True), "any")


@OPENAI.scenario("responses: structured output")
def _() -> None:
    bound = model(use_responses_api=True).with_structured_output(Answer)
    assert isinstance(bound.invoke(cases.QUESTION), Answer)


@OPENAI.scenario("error: unknown model")
def _() -> None:
    raises(NotFoundError, lambda: model(model="nobody").invoke("Hi"), "model_not_found")


@OPENAI.scenario("error: bad schema")
def _() -> None:
    bound = model().bind(response_format=cases.BAD_FORMAT)
    raises(BadRequestError, lambda: bound.invoke("Hi"), "town")


@OPENAI.scenario("error: too long")
def _() -> None:
    raises(ContextOverflowError, lambda: model().invoke(cases.TOO_LONG))


@GRAPH.scenario("tool round trip")
def _() -> None:
    agent = create_react_agent(model(), [get_weather])
    done = agent.invoke({"messages": [("user", cases.WEATHER_QUESTION)]})
    assert isinstance(done["messages"][-1], AIMessage)


@GRAPH.scenario("stream")
def _() -> None:
    agent = create_react_agent(model(), [get_weather])
    question = {"messages": [("user", cases.WEATHER_QUESTION)]}
    assert list(agent.stream(question, stream_mode="messages"))


@GRAPH.scenario("structured output")
def _() -> None:
    agent = create_react_agent(model(), [get_weather], response_format=Answer)
    done = agent.invoke({"messages": [("user", cases.WEATHER_QUESTION)]})
    assert isinstance(done["structured_response"], Answer)


if __name__ == "__main__":
    for each in (OPENAI, MISTRAL, GRAPH):
        each.run()
