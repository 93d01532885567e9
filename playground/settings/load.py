"""Load the settings in force, and say where each came from and what is wrong with it."""

from collections.abc import Mapping
from os import environ
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml import YAMLError

from playground.errors import InvalidSettings
from playground.settings.catalog import SETTINGS
from playground.settings.sections import Settings
from playground.settings.sources import RENAMED, SETTINGS_FILE, SettingsFile, variable_of

Flags = Mapping[str, object]
"""Options given on the command line, by the path of their setting."""


def load_settings(flags: Flags | None = None) -> Settings:
    """Return the settings in force; a flag of None counts as not given.

    Raises `InvalidSettings` naming each wrong value, what is allowed and where it was set.
    """
    given = {path: value for path, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**_nest(given))
    except ValidationError as error:
        problems = [_describe(fault, given) for fault in error.errors()]
        raise InvalidSettings("; ".join(problems)) from error
    except (OSError, ValueError, TypeError, YAMLError) as error:
        raise InvalidSettings(f"{SETTINGS_FILE}: {error}") from error


def origin(path: str, flags: Flags | None = None) -> str:
    """Return where the value in force of a setting came from, strongest source first."""
    value = (flags or {}).get(path)
    if value is not None:
        setting = next(setting for setting in SETTINGS if setting.path == path)
        return setting.off_flag if setting.is_switch and value is False else setting.flag
    variable = variable_of(path)
    if variable in {name.upper() for name in environ}:
        return variable
    return SETTINGS_FILE if _holds(SettingsFile(Settings)(), path) else "default"


def _nest(flags: Flags) -> dict[str, Any]:
    """``{"server.port": 1}`` as ``{"server": {"port": 1}}``."""
    nested: dict[str, Any] = {}
    for path, value in flags.items():
        *sections, name = path.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = value
    return nested


def _holds(values: object, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True


def _describe(fault: ErrorDetails, flags: Flags) -> str:
    if fault["loc"][:1] == ("backends",):
        return _describe_backend(fault, flags)
    path = ".".join(part for part in fault["loc"] if isinstance(part, str)) or SETTINGS_FILE
    where = origin(path, flags)
    setting = next((setting for setting in SETTINGS if setting.path == path), None)
    if setting:
        message = fault["msg"].removeprefix("Value error, ")
        value = "what is set" if setting.is_secret else repr(fault["input"])
        return f"{path} ({where}): {message}, not {value}"
    if path in RENAMED:
        return f"{path} ({where}) is now {RENAMED[path]}"
    if fault["type"] == "value_error":  # of a section as a whole, which may hold secrets
        return f"{path}: {fault['msg'].removeprefix('Value error, ')}"
    members = [setting.name for setting in SETTINGS if setting.section == path]
    if members:
        return f"{path} ({where}) is a section with {', '.join(members)}, not {fault['input']!r}"
    return f"{path} ({where}): there is no such setting"


def _describe_backend(fault: ErrorDetails, flags: Flags) -> str:
    """``backends[0].url (playground.yaml): …``"""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
    where = "".join(steps).removeprefix(".")
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        message = "there is no such setting"
    return f"{where} ({origin('backends', flags)}): {message}"
