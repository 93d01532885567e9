"""litellm, by its providers for OpenAI's API, Together, Mistral, vLLM and Anthropic."""

import json
from typing import Any, Literal

import litellm
from pydantic import BaseModel

from clients import cases
from clients.scenarios import Client, base_url, raises

litellm.suppress_debug_info = True
CLIENT = Client("litellm")
PROVIDERS = {
    "openai": f"{base_url()}/v1",
    "hosted_vllm": f"{base_url()}/v1",
    "together_ai": f"{base_url()}/v1",
    "mistral": f"{base_url()}/v1",
    "anthropic": base_url(),
}


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


def options_of(provider: str, **options: Any) -> dict[str, Any]:
    """The arguments of a call by one provider."""
    return {
        "model": f"{provider}/{options.pop('name', cases.MODEL)}",
        "messages": cases.MESSAGES,
        "api_base": PROVIDERS[provider],
        "api_key": "any",
        "max_tokens": 80,
        "num_retries": 0,
        **options,
    }


def chat(provider: str, **options: Any) -> Any:
    """A completion by one provider."""
    return litellm.completion(**options_of(provider, **options))


def register(provider: str) -> None:
    """Register the scenarios by one provider."""

    @CLIENT.scenario(f"{provider}: chat")
    def _() -> None:
        assert chat(provider).choices[0].message.content

    @CLIENT.scenario(f"{provider}: stream")
    def _() -> None:
        chunks = list(chat(provider, stream=True, stream_options={"include_usage": True}))
        whole: Any = litellm.stream_chunk_builder(chunks)
        assert whole.choices[0].message.content

    @CLIENT.scenario(f"{provider}: async")
    async def _() -> None:
        answer: Any = await litellm.acompletion(**options_of(provider))
        assert answer.choices[0].message.content

    @CLIENT.scenario(f"{provider}: tools")
    def _() -> None:
        answer = chat(
            provider, messages=cases.ASK_WEATHER, tools=cases.TOOLS, tool_choice="required"
        )
        call = answer.choices[0].message.tool_calls[0]
        assert json.loads(call.function.arguments)["city"] in cases.CITIES

    @CLIENT.scenario(f"{provider}: tools in stream")
    def _() -> None:
        chunks = list(
            chat(
                provider,
                messages=cases.ASK_WEATHER,
                tools=cases.TOOLS,
                tool_choice="required",
                stream=True,
            )
        )
        whole: Any = litellm.stream_chunk_builder(chunks)
        assert whole.choices[0].message.tool_calls[0].function.name == "get_weather"

    @CLIENT.scenario(f"{provider}: tool round trip")
    def _() -> None:
        asked = {"tools": cases.TOOLS, "tool_choice": "required"}
        message = chat(provider, messages=cases.ASK_WEATHER, **asked).choices[0].message
        call = message.tool_calls[0]
        result = {
            "role": "tool",
            "tool_call_id": call.id,
            "name": "get_weather",
            "content": "3 degrees",
        }
        history = [*cases.ASK_WEATHER, message.model_dump(), result]
        assert chat(provider, messages=history, tools=cases.TOOLS).choices

    @CLIENT.scenario(f"{provider}: error: unknown model")
    def _() -> None:
        raises(litellm.NotFoundError, lambda: chat(provider, name="nobody"))

    @CLIENT.scenario(f"{provider}: error: too long")
    def _() -> None:
        long = [{"role": "user", "content": cases.TOO_LONG}]
        raises(litellm.ContextWindowExceededError, lambda: chat(provider, messages=long))


for each in PROVIDERS:
    register(each)
scenario = CLIENT.scenario


@scenario("openai: structured output")
def _() -> None:
    answer = chat("openai", response_format=Answer)
    assert Answer.model_validate_json(answer.choices[0].message.content)


@scenario("hosted_vllm: structured output")
def _() -> None:
    answer = chat("hosted_vllm", response_format=cases.JSON_SCHEMA)
    assert Answer.model_validate_json(answer.choices[0].message.content)


@scenario("together_ai: structured output")
def _() -> None:
    answer = chat("together_ai", response_format=cases.JSON_SCHEMA)
    assert Answer.model_validate_json(answer.choices[0].message.content)


@scenario("mistral: structured output")
def _() -> None:
    answer = chat("mistral", response_format=cases.JSON_SCHEMA)
    assert Answer.model_validate_json(answer.choices[0].message.content)


@scenario("openai: n")
def _() -> None:
    assert len(chat("openai", n=2, temperature=1).choices) == 2


@scenario("openai: logprobs")
def _() -> None:
    assert chat("openai", logprobs=True, top_logprobs=2).choices[0].logprobs.content


@scenario("mistral: seed")
def _() -> None:
    answers = {chat("mistral", seed=3, temperature=1).choices[0].message.content for _ in range(2)}
    assert len(answers) == 1


@scenario("openai: responses")
def _() -> None:
    answer: Any = litellm.responses(
        model=f"openai/{cases.MODEL}",
        input=cases.QUESTION,
        api_base=PROVIDERS["openai"],
        api_key="any",
        max_output_tokens=16,
    )
    assert answer.output


@scenario("openai: completions")
def _() -> None:
    answer: Any = litellm.text_completion(
        model=f"text-completion-openai/{cases.MODEL}",
        prompt="The capital",
        api_base=PROVIDERS["openai"],
        api_key="any",
        max_tokens=4,
    )
    assert answer.choices[0].text


@scenario("openai: error: bad schema")
def _() -> None:
    raises(
        litellm.BadRequestError, lambda: chat("openai", response_format=cases.BAD_FORMAT), "town"
    )


@scenario("openai: falls back from an unknown model")
def _() -> None:
    here = {"model": f"openai/{cases.MODEL}", "api_base": PROVIDERS["openai"], "api_key": "any"}
    answer = chat("openai", name="nobody", fallbacks=[here])
    assert answer.choices[0].message.content


if __name__ == "__main__":
    CLIENT.run()
