"""Types of parsed JSON, and readers that narrow them.

Parsed JSON is typed here once, so that no other module needs `Any` for it.
"""

import json
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, Json]
JsonSchema: TypeAlias = dict[str, Json]


def parse_json(text: str | bytes) -> Json:
    """Return the parsed text; raise `json.JSONDecodeError` if it is not JSON."""
    value: Json = json.loads(text)
    return value


def parse_object(text: str | bytes) -> JsonObject:
    """Return the JSON object in the text; raise `ValueError` for anything else."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    return value


def object_at(container: JsonObject, key: str) -> JsonObject:
    """Return the object under the key, or an empty one if there is none."""
    value = container.get(key)
    return value if isinstance(value, dict) else {}


def list_at(container: JsonObject, key: str) -> list[Json]:
    """Return the list under the key, or an empty one if there is none."""
    value = container.get(key)
    return value if isinstance(value, list) else []


def objects_at(container: JsonObject, key: str) -> list[JsonObject]:
    """Return the objects of the list under the key, without its other items."""
    return [item for item in list_at(container, key) if isinstance(item, dict)]


def text_at(container: JsonObject, key: str) -> str:
    """Return the string under the key, or an empty one if there is none."""
    value = container.get(key)
    return value if isinstance(value, str) else ""
