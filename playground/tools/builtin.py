"""The built-in tools: arithmetic, the time, units, demo weather, and a folder of documents.

None of them writes anything or asks another machine.
"""

import json
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from playground.tools.calculator import evaluate
from playground.tools.documents import Documents
from playground.tools.functions import function_tool
from playground.tools.toolbox import RunnableTool

WEATHER = Path(__file__).with_name("demo_weather.json")
SOURCE = "built-in"


def calculate(expression: str) -> str:
    """Compute an arithmetic expression.

    Args:
        expression: for example 2 * (3 + 4)
    """
    value = evaluate(expression)
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.12g}"


def get_time(timezone: str = "UTC") -> str:
    """Get the present date and time.

    Args:
        timezone: an IANA name such as Europe/Paris
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{timezone!r} is no IANA time zone") from error
    return datetime.now(zone).strftime("%A, %d %B %Y, %H:%M %Z")


def convert_units(value: float, from_unit: str, to_unit: str) -> str:
    """Convert a value from one unit to another.

    Args:
        value: the number to convert
        from_unit: for example mile, kg or degF
        to_unit: for example km, lb or degC
    """
    from pint import PintError

    units = _units()
    try:
        converted = units.Quantity(value, units.Unit(from_unit)).to(units.Unit(to_unit))
    except (PintError, ArithmeticError, AttributeError, TypeError) as error:
        raise ValueError(f"{from_unit!r} cannot be converted to {to_unit!r}: {error}") from error
    return f"{converted.magnitude:.6g} {to_unit}"


def get_weather(city: str) -> dict[str, Any]:
    """Get the weather."""
    table = json.loads(WEATHER.read_text(encoding="utf-8"))
    known = {name.casefold(): name for name in table}
    name = known.get(city.strip().casefold())
    if name is None:
        raise ValueError(f"no demo data for {city!r}; there is some for {', '.join(table)}")
    return {"city": name, **table[name], "note": "demo data"}


def built_in_tools(documents: Path | None = None) -> tuple[RunnableTool, ...]:
    """The built-in tools; search only where there is a folder of ``documents``."""
    functions: list[Callable[..., Any]] = [get_weather, get_time, calculate, convert_units]
    tools = [function_tool(function, source=SOURCE) for function in functions]
    if documents is not None:
        tools.append(function_tool(Documents(documents).search_documents, source=SOURCE))
    return tuple(tools)


@lru_cache(maxsize=1)
def _units() -> Any:
    """pint's registry, which takes a moment to read."""
    from pint import UnitRegistry

    return UnitRegistry()
