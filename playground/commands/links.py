"""`playground links`: links to a demo of this home. A running server knows of a change at once."""

import datetime
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from playground.access.links import DemoLinks, token_of
from playground.commands.options import with_settings
from playground.commands.tables import new_table, print_table
from playground.settings import Flags, Settings, load_settings
from playground.store.accounts import Accounts
from playground.store.links import Link, Links

links = typer.Typer(
    name="links", help="Links to a demo of one model or one comparison.", no_args_is_help=True
)
Address = Annotated[
    str | None,
    typer.Option(
        help="Address of the playground, its path behind a proxy included; otherwise this machine, "
        "with the port and the path of the settings."
    ),
]


@contextmanager
def opened_links(settings: Settings) -> Iterator[DemoLinks]:
    """Open the links of the settings' home."""
    with (
        closing(Accounts(settings.home, settings.store.url)) as accounts,
        closing(DemoLinks(Links(settings.home, settings.store.url), accounts)) as opened,
    ):
        yield opened


@links.command()
@with_settings("", "store")
def create(
    flags: Flags,
    model: Annotated[
        list[str],
        typer.Option(help="Model, adapter or NAME.v2; for compare several times for several."),
    ],
    tab: Annotated[str, typer.Option(help="chat or compare.")] = "chat",
    system_prompt: Annotated[
        str | None, typer.Option(help="Stands in the place of the visitors' own.")
    ] = None,
    days: Annotated[float, typer.Option(help="It opens nothing after that many days.")] = 7.0,
    answers: Annotated[
        int | None, typer.Option(help="Answers that all its visitors get together.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Tokens of prompts and answers, all its visitors together.")
    ] = None,
    url: Address = None,
) -> None:
    """Make a link and print its address."""
    settings = load_settings(flags)
    with opened_links(settings) as opened:
        link = opened.create(
            model, tab, days=days, system_prompt=system_prompt, answers=answers, tokens=tokens
        )
        print(_address_of(link, url, settings))


@links.command("list")
@with_settings("", "store")
def list_links(flags: Flags, url: Address = None) -> None:
    """List the links, the newest first, each with its address."""
    settings = load_settings(flags)
    with opened_links(settings) as opened:
        found = opened.all()
    columns = ("id", "tab", "models", "answers", "tokens", "expires", "state")
    table = new_table(columns, ("id", "state"))
    for link in found:
        expires = datetime.datetime.fromtimestamp(link.expires, datetime.UTC)
        table.add_row(
            link.id, link.tab, ", ".join(link.models), _used(link.answers, link.max_answers),
            _used(link.tokens, link.max_tokens), f"{expires:%Y-%m-%d %H:%M}", link.state,
        )  # fmt: skip
    print_table(table)
    for link in found:
        if link.state == "open":
            print(f"{link.id}  {_address_of(link, url, settings)}")


@links.command()
@with_settings("", "store")
def revoke(flags: Flags, link: Annotated[str, typer.Argument(help="The link's id.")]) -> None:
    """Make a link open nothing from now on."""
    with opened_links(load_settings(flags)) as opened:
        print(f"{opened.revoke(link).id} is revoked")


def _address_of(link: Link, url: str | None, settings: Settings) -> str:
    here = f"http://127.0.0.1:{settings.server.port}{settings.server.root_path}"
    return f"{(url or here).rstrip('/')}/d/{token_of(link)}/"


def _used(used: int, most: int | None) -> str:
    return f"{used:,}" if most is None else f"{used:,} of {most:,}"
