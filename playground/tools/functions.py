"""A Python function as a tool: its schema from type hints and docstring, its arguments validated.

pydantic reads the hints and validates, docstring_parser reads the description (Google, NumPy, reST
and epydoc styles).
"""

import asyncio
import importlib.util
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from docstring_parser import parse
from pydantic import PydanticUserError, TypeAdapter, ValidationError, validate_call
from pydantic_core import to_jsonable_python

from playground.errors import InvalidSettings, ToolFailed
from playground.protocol import Tool
from playground.tools.toolbox import TIME_LIMIT_S, RunnableTool

ByName = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def function_tool(
    function: Callable[..., Any], *, source: str = "Python", time_limit_s: float = TIME_LIMIT_S
) -> RunnableTool:
    """The function as a tool of the same name; a coroutine function is awaited, another runs in a
    thread, which goes on when its time is over but is waited for no longer.

    What it raises as `ToolFailed` or ``ValueError`` is shown to the model. Raises
    `InvalidSettings` for a function whose parameters cannot be given by name or have no schema.
    """
    name = function.__name__
    parameters = inspect.signature(function).parameters.values()
    unnamed = [parameter.name for parameter in parameters if parameter.kind not in ByName]
    if unnamed:
        raise InvalidSettings(f"{name}: the parameter {unnamed[0]!r} cannot be given by name")
    try:
        schema = TypeAdapter(cast(Any, function)).json_schema()
        validated = validate_call(function)
    except (PydanticUserError, NameError, TypeError) as error:
        raise InvalidSettings(f"{name}: no schema for its parameters: {error}") from error
    docstring = parse(inspect.getdoc(function) or "")
    for parameter in docstring.params:
        known = schema.get("properties", {}).get(parameter.arg_name)
        if known is not None and parameter.description:
            known.setdefault("description", parameter.description)
    _drop_titles(schema)
    # An object is closed where its properties are listed (modes.structure); no need to say so.
    schema.pop("additionalProperties", None)

    async def run(arguments: Mapping[str, Any]) -> str:
        try:
            if inspect.iscoroutinefunction(function):
                result = await validated(**arguments)
            else:
                result = await asyncio.to_thread(validated, **arguments)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise ToolFailed(f"{place}: {fault['msg']}") from error
        except ValueError as error:
            raise ToolFailed(str(error)) from error
        if isinstance(result, str):
            return result
        return json.dumps(to_jsonable_python(result), ensure_ascii=False)

    description = (docstring.description or "").strip()
    return RunnableTool(Tool(name, description, schema), run, source, time_limit_s)


def functions_of_file(path: Path) -> tuple[RunnableTool, ...]:
    """The public functions that a Python file defines. The file is executed.

    Raises `InvalidSettings` if it cannot be, or has none.
    """
    spec = importlib.util.spec_from_file_location(f"playground_tools_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InvalidSettings(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # anything may go wrong in somebody's file
        raise InvalidSettings(f"{path}: {type(error).__name__}: {error}") from error
    functions = [
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    ]
    if not functions:
        raise InvalidSettings(f"{path} defines no public function")
    return tuple(function_tool(function, source=path.name) for function in functions)


def _drop_titles(schema: Any) -> None:
    """pydantic repeats each field's name as a title; a model reads it as noise."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for key, child in schema.items():
            if key == "properties":
                for value in child.values():
                    _drop_titles(value)
            elif key not in ("enum", "const", "default", "examples"):
                _drop_titles(child)
    elif isinstance(schema, list):
        for child in schema:
            _drop_titles(child)
