"""What is put before a conversation: the schema of the answer, and tools that no template shows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.backends.local.prompt import PromptRenderer, SchemaInPrompt
from playground.models.loaded import LoadedModel
from playground.models.template_tokenizer import TemplateTokenizer
from playground.protocol import (
    ANY_OBJECT,
    Message,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
    answer,
)
from tests.playground.models.template_folder import write_template_tokenizer

NAME = {"type": "string", "description": "The full name"}
CITY = {"title": "City", "type": "string"}
PERSON = {
    "type": "object",
    "properties": {"name": NAME, "city": CITY},
    "required": ["name", "city"],
}
FORM = ResponseFormat(PERSON, name="person", description="Somebody with a home")
ASKED = Request(
    "embedded",
    (Message("user", "Name: Greta; City: Rome"),),
    response_format=FORM,
    sampling=Sampling(temperature=0, max_tokens=100),
)
WEATHER = Tool("get_weather", "Get the weather", {"type": "object", "properties": {"city": CITY}})
NO_SYSTEM = """{%- for message in messages %}{%- if message.role == 'system' %}
{{- raise_exception('no system messages') }}{%- endif %}
{{- message.role + ':' + message.content + '|' }}{%- endfor %}"""


def text_of(
    loaded: LoadedModel, request: Request, mode: SchemaInPrompt = "auto", context: int = 2048
) -> str:
    renderer = PromptRenderer(loaded.tokenizer, context, mode)
    return spelled(loaded.tokenizer.token_bytes, renderer.render(request).token_ids)


def spelled(token_bytes, ids) -> str:
    return b"".join(map(token_bytes, ids)).decode()


@pytest.fixture
def plain(tmp_path: Path) -> TemplateTokenizer:
    """A tokenizer whose template knows neither tools nor system messages."""
    return write_template_tokenizer(tmp_path, NO_SYSTEM)


def test_schema_is_shown_with_descriptions(loaded: LoadedModel) -> None:
    text = text_of(loaded, ASKED)
    assert "The full name" in text
    assert "The schema is person: Somebody with a home" in text


def test_title_that_repeats_name_is_left_out(loaded: LoadedModel) -> None:
    assert "title" not in text_of(loaded, ASKED)


def test_schema_follows_the_system_message(loaded: LoadedModel) -> None:
    request = replace(ASKED, messages=(Message("system", "Be brief."), *ASKED.messages))
    text = text_of(loaded, request)
    assert text.index("Be brief.") < text.index("Return JSON that matches this schema") < len(text)


def test_schema_in_conversation_is_not_repeated(loaded: LoadedModel) -> None:
    system = Message("system", f"Fill this: {json.dumps(PERSON)}")
    request = replace(ASKED, messages=(system, *ASKED.messages))
    assert text_of(loaded, request).count("The full name") == 1


def test_schema_is_hidden_when_off(loaded: LoadedModel) -> None:
    assert "The full name" not in text_of(loaded, ASKED, "off")


@pytest.mark.parametrize(("mode", "shown"), [("auto", False), ("on", True)])
def test_long_schema_is_shown_when_on(
    loaded: LoadedModel, mode: SchemaInPrompt, shown: bool
) -> None:
    assert ("The full name" in text_of(loaded, ASKED, mode, context=100)) is shown


@pytest.mark.parametrize(
    "change",
    [
        {"response_format": ANY_OBJECT},
        {"response_format": None},
        {"tools": (WEATHER,), "tool_choice": ToolChoice("required")},
    ],
)
def test_prompt_says_nothing_without_schema(loaded: LoadedModel, change) -> None:
    assert "Return JSON" not in text_of(loaded, replace(ASKED, **change))


def test_schema_beside_tools_allows_calls(loaded: LoadedModel) -> None:
    request = replace(ASKED, tools=(WEATHER,))
    assert "Unless you call a function, return JSON" in text_of(loaded, request)


async def test_count_includes_the_shown_schema(backend: LocalBackend) -> None:
    got = await answer(backend, ASKED)
    assert got.usage.prompt_tokens == await backend.count_tokens(ASKED)


async def test_embedded_model_reads_shown_schema(backend: LocalBackend) -> None:
    got = await answer(backend, ASKED)
    assert got.schema_in_prompt
    assert json.loads(got.text) == {"name": "Greta", "city": "Rome"}


def test_template_without_system_gets_schema_first(plain: TemplateTokenizer) -> None:
    ids = PromptRenderer(plain, 4096).render(ASKED).token_ids
    text = spelled(plain.token_bytes, ids)
    assert text.startswith("user:Return JSON")
    assert text.endswith("Name: Greta; City: Rome|")


def test_template_without_tools_describes_them(plain: TemplateTokenizer) -> None:
    request = replace(ASKED, response_format=None, tools=(WEATHER,))
    text = spelled(plain.token_bytes, PromptRenderer(plain, 4096).render(request).token_ids)
    assert '{"name": "get_weather", "description": "Get the weather"' in text


def test_template_without_tools_shows_calls(plain: TemplateTokenizer) -> None:
    call = ToolCall("call_1", "get_weather", '{"city": "Rome"}')
    called = (Message("assistant", "", (call,)), Message("tool", "sunny", tool_call_id="call_1"))
    request = replace(ASKED, response_format=None, messages=(*ASKED.messages, *called))
    text = spelled(plain.token_bytes, PromptRenderer(plain, 4096).render(request).token_ids)
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}' in text
    assert "user:<tool_response>\nsunny\n</tool_response>|" in text
