"""instructor, in its modes."""

from typing import Any, Literal

import instructor
import openai
from instructor import Mode
from instructor.core import InstructorRetryException
from pydantic import BaseModel, field_validator

from clients import cases
from clients.scenarios import Client, base_url

CLIENT = Client("instructor")
URL = f"{base_url()}/v1"
scenario = CLIENT.scenario


class Answer(BaseModel):
    """The form of a structured answer."""

    city: Literal["Oslo", "Paris"]


class Refused(BaseModel):
    """A form that no answer has."""

    city: Literal["Oslo", "Paris"]

    @field_validator("city")
    @classmethod
    def never(cls, value: str) -> str:
        """Refuse every city."""
        raise ValueError(f"{value} is not wanted")


def client(mode: Mode) -> Any:
    """A client of one mode."""
    return instructor.from_openai(openai.OpenAI(base_url=URL, api_key="any"), mode=mode)


def options(**more: Any) -> dict[str, Any]:
    """The arguments of all calls."""
    return {
        "model": cases.MODEL,
        "messages": cases.MESSAGES,
        "max_tokens": 80,
        "temperature": 0,
        **more,
    }


def register(mode: Mode) -> None:
    """Register what every mode can."""

    @scenario(f"structured output: {mode.name}")
    def _() -> None:
        answer = client(mode).chat.completions.create(response_model=Answer, **options())
        assert isinstance(answer, Answer)

    @scenario(f"structured output in stream: {mode.name}")
    def _() -> None:
        parts = list(client(mode).chat.completions.create_partial(Answer, **options()))
        assert parts[-1].city in cases.CITIES

    @scenario(f"retries: {mode.name}")
    def _() -> None:
        """Each attempt is answered in turn, with the faulty answer and its error in the history."""
        attempts: list[object] = []
        asking = client(mode)
        asking.on("completion:response", attempts.append)
        try:
            asking.chat.completions.create(response_model=Refused, max_retries=2, **options())
        except InstructorRetryException as error:
            assert "not wanted" in str(error), error
        assert len(attempts) >= 2


for each in (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON_SCHEMA):
    register(each)


@scenario("structured output: RESPONSES_TOOLS")
def _() -> None:
    answer = client(Mode.RESPONSES_TOOLS).responses.create(
        model=cases.MODEL,
        input=cases.QUESTION,
        response_model=Answer,
        max_output_tokens=80,
    )
    assert isinstance(answer, Answer)


@scenario("JSON mode: JSON is asked for and answered")
def _() -> None:
    """The form is prompted only, so that a tiny model need not hold it."""
    answers: list[Any] = []
    asking = client(Mode.JSON)
    asking.on("completion:response", answers.append)
    try:
        asking.chat.completions.create(response_model=Answer, max_retries=1, **options())
    except InstructorRetryException as error:
        assert "validation" in str(error).lower() or "incomplete" in str(error).lower(), error
    assert answers[0].choices[0].message.content.lstrip().startswith("{")


@scenario("async")
async def _() -> None:
    asking = instructor.from_openai(openai.AsyncOpenAI(base_url=URL, api_key="any"))
    answer = await asking.chat.completions.create(response_model=Answer, **options())
    assert isinstance(answer, Answer)


@scenario("several objects")
def _() -> None:
    found = client(Mode.TOOLS).chat.completions.create_iterable(
        response_model=Answer, **options(max_tokens=200)
    )
    assert all(isinstance(each, Answer) for each in found)


if __name__ == "__main__":
    CLIENT.run()
