"""llm: the command line and library, by a configuration of its own."""

import json
import os
import tempfile
from pathlib import Path
from typing import Final

from click.testing import CliRunner
from llm.cli import cli

from clients import cases
from clients.scenarios import Client, base_url

CLIENT = Client("llm")
HOME = Path(tempfile.mkdtemp())
CONFIGURATION: Final = f"""\
- model_id: here
  model_name: {cases.MODEL}
  api_base: {base_url()}/v1
  api_key_name: here
  supports_tools: true
  supports_schema: true
- model_id: plain
  model_name: {cases.MODEL}
  api_base: {base_url()}/v1
  api_key_name: here
  completion: true
- model_id: nobody
  model_name: nobody
  api_base: {base_url()}/v1
  api_key_name: here
"""
(HOME / "extra-openai-models.yaml").write_text(CONFIGURATION)
(HOME / "keys.json").write_text('{"here": "any"}')
os.environ["LLM_USER_PATH"] = str(HOME)


def llm(*arguments: str, status: int = 0) -> str:
    """Run the command; returns what it printed."""
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == status, done.output
    return done.output


LIMIT: Final = ("-o", "max_tokens", "60")
scenario = CLIENT.scenario


@scenario("stream")
def _() -> None:
    assert llm("-m", "here", cases.QUESTION, *LIMIT)


@scenario("chat")
def _() -> None:
    assert llm("-m", "here", "--no-stream", "-s", "Be brief.", cases.QUESTION, *LIMIT)


@scenario("history")
def _() -> None:
    llm("-m", "here", cases.QUESTION, *LIMIT)
    assert llm("-c", "And of Norway?", *LIMIT)


@scenario("structured output")
def _() -> None:
    answer = llm("-m", "here", "--schema", json.dumps(cases.SCHEMA), cases.QUESTION, *LIMIT)
    assert json.loads(answer)["city"] in cases.CITIES


@scenario("tool round trip")
def _() -> None:
    function = 'def get_weather(city: str) -> str:\n    "The weather in a city."\n    return "3"\n'
    assert llm("-m", "here", "--functions", function, cases.WEATHER_QUESTION, *LIMIT)


@scenario("completions")
def _() -> None:
    assert llm("-m", "plain", "The capital", "-o", "max_tokens", "8")


@scenario("stop")
def _() -> None:
    assert llm("-m", "here", cases.QUESTION, "-o", "stop", "zzz", "-o", "seed", "7", *LIMIT)


@scenario("error: unknown model")
def _() -> None:
    assert "nobody" in llm("-m", "nobody", cases.QUESTION, status=1)


@scenario("error: too long")
def _() -> None:
    assert "too long" in llm("-m", "here", cases.TOO_LONG, status=1)


if __name__ == "__main__":
    CLIENT.run()
