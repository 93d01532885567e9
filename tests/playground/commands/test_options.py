"""`with_settings`: options made from the settings, without a process."""

import inspect

import pytest
import typer
from typer.testing import CliRunner

from playground.cli import cli
from playground.commands.options import SECTIONS, with_settings
from playground.settings import SETTINGS, Flags


@pytest.fixture
def seen() -> list[Flags]:
    """The flags of each call of the command in ``app``."""
    return []


@pytest.fixture
def app(seen: list[Flags]) -> typer.Typer:
    """A command with all options before it, and those of two sections of its own."""
    app = typer.Typer()

    @app.callback()
    @with_settings(*SECTIONS)
    def before(context: typer.Context, flags: Flags) -> None:
        context.obj = flags

    @app.command()
    @with_settings("model", "adapters")
    def command(flags: Flags, number: int = 0) -> None:
        seen.append({**flags, "number": number})

    return app


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["command"], {"number": 0}),
        (["--port", "1", "command", "--number", "2"], {"server.port": "1", "number": 2}),
        (["-m", "a", "command", "-m", "b"], {"model.name": "b", "number": 0}),
        (
            ["-q", "nf4", "command", "-m", "b"],
            {"model.quantization": "nf4", "model.name": "b", "number": 0},
        ),
        (["--no-drafts", "command"], {"engine.drafts": False, "number": 0}),
        (
            ["command", "--adapter", "a=b", "--adapter", "c"],
            {"adapters.load": ["a=b", "c"], "number": 0},
        ),
    ],
)
def test_command_flags_override_earlier_ones(
    app: typer.Typer, seen: list[Flags], arguments: list[str], flags: Flags
) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert seen == [flags]


def test_command_lacks_options_of_other_sections(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["command", "--port", "1"])
    assert result.exit_code == 2


def test_serve_has_every_setting_once() -> None:
    assert cli.registered_callback is not None
    assert cli.registered_callback.callback is not None
    parameters = inspect.signature(cli.registered_callback.callback).parameters
    generated = {name.replace("__", ".") for name in parameters} - {"context", "version"}
    assert generated == {setting.path for setting in SETTINGS}
