"""`playground prompts`: the stored prompts of this home."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from playground.commands.options import with_settings
from playground.errors import InvalidRequest
from playground.lab.prompt_files import export_prompts, import_prompts
from playground.lab.prompts import Prompts, shown, unified_diff
from playground.settings import Flags, load_settings

prompts = typer.Typer(name="prompts", help="Stored prompts.", no_args_is_help=True)


@contextmanager
def _opened(flags: Flags) -> Iterator[Prompts]:
    settings = load_settings(flags)
    kept = Prompts(settings.home, settings.store.url)
    try:
        yield kept
    finally:
        kept.close()


@prompts.command("list")
@with_settings("")
def list_prompts(flags: Flags) -> None:
    """List the prompts with their labels and tags."""
    table = Table(box=box.SIMPLE)
    for column in ("prompt", "versions", "labels", "tags", "last message"):
        table.add_column(column, overflow="fold")
    with _opened(flags) as kept:
        for prompt in kept.all():
            labels = ", ".join(f"{label} v{number}" for label, number in prompt.labels.items())
            newest = prompt.versions[-1]
            tags = ", ".join(prompt.tags)
            table.add_row(prompt.name, str(newest.number), labels, tags, newest.message)
    Console().print(table)


@prompts.command()
@with_settings("")
def show(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="The prompt's name or id.")],
    version: Annotated[
        str | None, typer.Option(help="A number, a label or latest (default production or latest).")
    ] = None,
    diff: Annotated[
        str | None, typer.Option(help="Show how it differs from this version instead.")
    ] = None,
) -> None:
    """Print one version as YAML, or how it differs from another."""
    with _opened(flags) as kept:
        found = kept.version(name, version)
        if diff is not None:
            print(unified_diff(kept.version(name, diff), found), end="")
            return
        labels = f" ({', '.join(found.labels)})" if found.labels else ""
        print(f"# {found.name} v{found.number}{labels} {found.message}".rstrip())
        print(shown(found.content), end="")


@prompts.command()
@with_settings("")
def export(
    flags: Flags,
    names: Annotated[list[str] | None, typer.Argument(help="Names; all without one.")] = None,
) -> None:
    """Print prompts with all their versions as YAML."""
    with _opened(flags) as kept:
        found = [kept.find(name) for name in names] if names else kept.all()
        print(export_prompts(found), end="")


@prompts.command("import")
@with_settings("")
def import_file(
    flags: Flags,
    file: Annotated[Path, typer.Argument(help="A YAML file as export prints it; - reads stdin.")],
) -> None:
    """Store the prompts of a YAML file; versions that are there already are left alone."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(str(file), f"cannot be read: {error}") from error
    with _opened(flags) as kept:
        for done in import_prompts(kept, text):
            added = ", ".join(f"v{number}" for number in done.added) or "nothing new"
            print(f"{done.name}: {added}")
