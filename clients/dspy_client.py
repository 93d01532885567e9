"""dspy, which asks through litellm. Its adapters parse what a larger model would write."""

from typing import Any

import dspy
import litellm
from dspy.utils.exceptions import ContextWindowExceededError

from clients import cases
from clients.scenarios import Client, base_url, raises

CLIENT = Client("dspy")
scenario = CLIENT.scenario


def model(name: str = cases.MODEL, **options: Any) -> Any:
    """A language model with the defaults of all scenarios."""
    return dspy.LM(
        f"openai/{name}",
        api_base=f"{base_url()}/v1",
        api_key="any",
        **{"max_tokens": 40, "cache": False, "num_retries": 0, **options},
    )


@scenario("chat")
def _() -> None:
    assert model()(cases.QUESTION)[0]


@scenario("async")
async def _() -> None:
    assert (await model().acall(cases.QUESTION))[0]


@scenario("n")
def _() -> None:
    assert len(model()(cases.QUESTION, n=2, temperature=1.0)) == 2


@scenario("responses: chat")
def _() -> None:
    assert model(model_type="responses")(cases.QUESTION)


@scenario("structured output")
def _() -> None:
    answer = model()(cases.QUESTION, response_format=cases.JSON_SCHEMA)[0]
    assert '"city"' in str(answer)


@scenario("error: too long")
def _() -> None:
    raises(ContextWindowExceededError, lambda: model()(cases.TOO_LONG))


@scenario("error: unknown model")
def _() -> None:
    raises(litellm.NotFoundError, lambda: model("nobody")(cases.QUESTION), "nobody")


if __name__ == "__main__":
    CLIENT.run()
