"""Tools and schemas from what people have at hand."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from playground.errors import InvalidRequest
from playground.structured.schema import compile_schema
from playground.tools.importers.definitions import schema_of_example, schema_of_text, tools_of_text

SIGNATURE = '''
def book_table(restaurant: str, people: int = 2, *, day: Literal["today", "tomorrow"],
               notes: list[str] | None = None) -> str:
    """Book a table.

    Args:
        restaurant: its name
    """
'''
MODELS = '''
from pydantic import BaseModel, Field

class Color(str, Enum):
    red = "red"
    blue = "blue"

class Part(BaseModel):
    name: str
    weight: float = Field(gt=0, description="in kg")

class Product(BaseModel):
    """Something on sale."""
    title: str = Field(..., min_length=1, max_length=80)
    color: Color
    parts: list[Part]
    sizes: dict[str, int] = {}
    note: Optional[str] = None
    made: datetime.date
    tags: list[str] = Field(default_factory=list)
'''
OPENAPI = {
    "openapi": "3.1.0",
    "paths": {
        "/pets/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
            ],
            "get": {"operationId": "getPet", "summary": "Get a pet."},
            "put": {
                "operationId": "put pet!",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}
                    }
                },
            },
        }
    },
    "components": {
        "schemas": {
            "Pet": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "mate": {"$ref": "#/components/schemas/Id"},
                },
                "required": ["name"],
            },
            "Id": {"type": "integer"},
        }
    },
}


def test_a_signature_is_a_tool() -> None:
    (tool,) = tools_of_text(SIGNATURE)
    assert (tool.name, tool.description) == ("book_table", "Book a table.")
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "restaurant": {"type": "string", "description": "its name"},
            "people": {"type": "integer", "default": 2},
            "day": {"enum": ["today", "tomorrow"]},
            "notes": {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["restaurant", "day"],
    }


@pytest.mark.parametrize("text", ["add(a: int, b: int) -> int", "def add(a: int, b: int):"])
def test_a_bare_signature_is_enough(text: str) -> None:
    (tool,) = tools_of_text(text)
    assert tool.parameters is not None
    assert list(tool.parameters["properties"]) == ["a", "b"]


def test_an_openapi_document_is_a_tool_for_each_operation() -> None:
    get, put = tools_of_text(json.dumps(OPENAPI))
    assert (get.name, get.description) == ("getPet", "Get a pet.")
    assert get.parameters is not None
    assert get.parameters["required"] == ["id"]
    assert put.name == "put_pet"
    assert put.parameters is not None
    assert put.parameters["properties"] == {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "mate": {"type": "integer"},
    }


@pytest.mark.parametrize(
    "value",
    [
        {"name": "f", "parameters": {"type": "object"}},
        {"type": "function", "function": {"name": "f"}},
        {"name": "f", "input_schema": {"type": "object"}},
        {"title": "F", "type": "object", "properties": {}},
        {"operationId": "f", "responses": {}},
        [{"name": "f"}],
    ],
)
def test_every_form_of_a_tool_is_read(value: Any) -> None:
    (tool,) = tools_of_text(json.dumps(value))
    assert tool.name == "f"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "nothing to read"),
        ('{"name": "f"', "not JSON"),
        ('{"a": 1}', "expected a tool"),
        ("[1]", "a tool is a JSON object"),
        ("def f(x: Socket): ...", "line 1: 'Socket' has no JSON schema"),
        ("def f(*x): ...", "needs a name"),
        ("hello world", "line 1: no Python"),
        ('{"name": "f", "parameters": 3}', "must be a JSON schema"),
        ('{"operationId": "f", "requestBody": {"$ref": "#/x"}}', "points at nothing"),
    ],
)
def test_what_is_no_tool_says_so(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        tools_of_text(text)


def test_pydantic_models_are_a_schema() -> None:
    schema: Any = schema_of_text(MODELS)
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["title", "color", "parts", "made"]
    assert schema["properties"]["title"] == {"type": "string", "minLength": 1, "maxLength": 80}
    assert schema["properties"]["made"] == {"type": "string", "format": "date"}
    assert schema["$defs"]["Color"] == {"enum": ["red", "blue"]}
    assert schema["$defs"]["Part"]["properties"]["weight"]["exclusiveMinimum"] == 0
    assert not compile_schema(schema).needs_check


def test_python_text_is_never_executed(tmp_path: Any) -> None:
    trap = tmp_path / "trap"
    text = f"import pathlib\npathlib.Path({str(trap)!r}).touch()\nclass A(BaseModel):\n    x: int"
    assert schema_of_text(text)["required"] == ["x"]
    assert not trap.exists()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=15,
)


@pytest.mark.slow
@given(JSON_VALUES)
def test_an_example_fits_the_schema_made_of_it(value: Any) -> None:
    schema = schema_of_example(value)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(value)


@pytest.mark.slow
@given(st.text(max_size=80) | JSON_VALUES.map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    for reader in (tools_of_text, schema_of_text):
        with suppress(InvalidRequest):
            assert reader(text) is not None


def test_two_functions_are_two_tools() -> None:
    bare = "def first(x: int) -> str:\n\nasync def second(y: str = 'q'):\n"
    whole = 'def first(x: int):\n    """One."""\n    return x\n\n\ndef second(y): ...\n'
    for source in (bare, whole):
        assert [tool.name for tool in tools_of_text(source)] == ["first", "second"]


def test_openapi_is_read_in_yaml() -> None:
    document = """
openapi: 3.0.0
info: {title: Pets, version: '1'}
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: since, in: query, schema: {type: string, example: 2024-01-01}}
    post: {operationId: addPet}
"""
    tools = tools_of_text(document)
    assert [tool.name for tool in tools] == ["listPets", "addPet"]
    assert tools[0].parameters
    assert tools[0].parameters["properties"]["since"]["example"] == "2024-01-01"


@pytest.mark.parametrize("text", ["openapi: [", "openapi: &a x\ninfo: *a", "title: {1: 2"])
def test_broken_yaml_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequest, match="YAML"):
        tools_of_text(text)
