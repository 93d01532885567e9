"""`playground history`: the conversations that are kept, listed, exported and imported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from playground.commands.options import with_settings
from playground.errors import InvalidRequest
from playground.lab.history import ExportFormat, every, export, read_conversations
from playground.settings import Flags, load_settings
from playground.store.conversation_types import Wanted
from playground.store.conversations import Conversations

history = typer.Typer(help="List, export and import conversations.", no_args_is_help=True)

Query = Annotated[str, typer.Option(help="Only conversations that have all of these words.")]
Folder = Annotated[str | None, typer.Option(help="Only those of this folder.")]
Tag = Annotated[str | None, typer.Option(help="Only those with this tag.")]
Archived = Annotated[bool, typer.Option("--archived", help="Archived ones, too.")]


@with_settings("", "store")
def list_conversations(
    flags: Flags,
    query: Query = "",
    folder: Folder = None,
    tag: Tag = None,
    archived: Archived = False,
    limit: Annotated[int, typer.Option(min=1, help="The most that are listed.")] = 50,
) -> None:
    """List conversations, the latest changed first."""
    wanted = Wanted(query, folder, tag, archived=None if archived else False, limit=limit)
    table = Table(box=box.SIMPLE)
    for column in ("id", "changed", "kind", "folder", "title"):
        table.add_column(column, overflow="fold")
    with _opened(flags) as store:
        for each in store.list(wanted).conversations:
            changed = f"{datetime.fromtimestamp(each.updated):%Y-%m-%d %H:%M}"
            table.add_row(each.id, changed, each.kind, each.folder, each.title or "Untitled")
    Console().print(table)


@with_settings("", "store")
def export_conversations(
    flags: Flags,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Which; all if none is given.")
    ] = None,
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="json (ours, with every branch), markdown, sharegpt, or "
                     "rows for `finetune train`."),
    ] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; the terminal if not given.")
    ] = None,
    query: Query = "",
    folder: Folder = None,
    tag: Tag = None,
) -> None:  # fmt: skip
    """Export conversations, archived ones included."""
    wanted = Wanted(query, folder, tag, archived=None)
    with _opened(flags) as store:
        chosen = [store.find(each) for each in ids] if ids else list(every(store, wanted))
    file = export(chosen, form)
    if output is None:
        print(file.text, end="")
    else:
        output.write_text(file.text, encoding="utf-8")
    left_out = f", {file.left_out} without an answer left out" if file.left_out else ""
    print(f"{file.count} conversations exported{left_out}", file=sys.stderr)


@with_settings("", "store")
def import_conversations(
    flags: Flags,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON, JSON lines or zip.")
    ],
) -> None:
    """Import conversations: ours, ShareGPT, chat messages, Open WebUI's or ChatGPT's export."""
    with _opened(flags) as store:
        for path in files:
            try:
                imported = read_conversations(path.read_bytes())
            except OSError as error:
                raise InvalidRequest(str(path), error.strerror or str(error)) from error
            except InvalidRequest as error:
                error.field = str(path)
                raise
            added = store.add_all(imported.conversations)
            known = len(imported.conversations) - added
            there = f", {known} were there already" if known else ""
            print(f"{path}: {added} conversations of {imported.source} imported{there}")
            for problem in imported.problems:
                print(f"{path}: {problem}", file=sys.stderr)


@contextmanager
def _opened(flags: Flags) -> Iterator[Conversations]:
    settings = load_settings(flags)
    store = Conversations(settings.home, settings.store.url)
    try:
        yield store
    finally:
        store.close()


history.command("list")(list_conversations)
history.command("export")(export_conversations)
history.command("import")(import_conversations)
