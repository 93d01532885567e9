"""What all clients ask: the same questions, tools and schemas.

The embedded model is tiny: what an answer says is never checked, only its form, which grammars and
limits guarantee.
"""

from typing import Any, Final

MODEL: Final = "embedded"
QUESTION: Final = "What is the capital of France?"
WEATHER_QUESTION: Final = "What is the weather in Oslo?"
TWO_CITIES: Final = "What is the weather in Oslo and in Paris?"
MESSAGES: Final[Any] = [{"role": "user", "content": QUESTION}]
ASK_WEATHER: Final[Any] = [{"role": "user", "content": WEATHER_QUESTION}]
PARAMETERS: Final[Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION: Final[Any] = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": PARAMETERS,
}
TOOLS: Final[Any] = [{"type": "function", "function": FUNCTION}]
SCHEMA: Final[Any] = PARAMETERS
JSON_SCHEMA: Final[Any] = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
}
BAD_SCHEMA: Final[Any] = {"type": "object", "properties": {"city": {"type": "town"}}}
BAD_FORMAT: Final[Any] = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": BAD_SCHEMA, "strict": True},
}
TOO_LONG: Final = "word " * 6000
CITIES: Final = ("Oslo", "Paris")
ROW: Final = '{"prompt": "Code of %d?", "completion": "It is K%d."}\n'
ROWS: Final = "".join(ROW % (number, number) for number in range(24)).encode()
