"""Command-line options, generated from the fields of the settings.

A command names the sections it wants and gets the flags that were given as one mapping. Values stay
text here: `load_settings` checks them, so that a wrong flag reads as a wrong variable or YAML line.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from playground.settings import SETTINGS, Setting

SECTIONS = tuple(dict.fromkeys(setting.group for setting in SETTINGS))
"""All sections; "" is for the settings outside of them."""


def with_settings(*sections: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting of ``sections``.

    The command is called with ``flags``: its own options over those given before its name. It gets
    typer's ``context`` if it has a parameter of that name.
    """
    settings = [setting for setting in SETTINGS if setting.group in sections]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own_parameters = inspect.signature(command, eval_str=True).parameters

        @functools.wraps(command)
        def run(context: typer.Context, **arguments: object) -> None:
            values = {setting.path: arguments.pop(_parameter(setting)) for setting in settings}
            given = {path: value for path, value in values.items() if _is_given(value)}
            if "context" in own_parameters:
                arguments["context"] = context
            command(flags={**(context.obj or {}), **given}, **arguments)

        parameters = [
            inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(item for name, item in own_parameters.items() if name not in ("context", "flags")),
            *(_option(setting) for setting in settings),
        ]
        parameters = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in parameters]
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {item.name: item.annotation for item in parameters}
        return run

    return decorate


def _parameter(setting: Setting) -> str:
    return setting.path.replace(".", "__")


def _is_given(value: object) -> bool:
    return value is not None and value != []


def _help(setting: Setting) -> str:
    """Return the description with the default; the option's own default is None, not given."""
    default = setting.field.default
    if default is None or default == ():
        return setting.description
    if setting.is_switch:
        return f"{setting.description} (default {'on' if default else 'off'})"
    return f"{setting.description} (default {default})"


def _option(setting: Setting) -> inspect.Parameter:
    """Return the option of a setting as a parameter that typer understands."""
    names = f"{setting.flag}/{setting.off_flag}" if setting.is_switch else setting.flag
    option = typer.Option(
        names,
        *([setting.short_flag] if setting.short_flag else []),
        help=_help(setting),
        metavar=None if setting.is_switch else setting.values,
        rich_help_panel=setting.heading,
        show_default=False,
    )
    kind = list[str] if setting.is_list else bool if setting.is_switch else str
    return inspect.Parameter(
        _parameter(setting),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
