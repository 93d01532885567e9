"""`playground users`: accounts of this home. The server need not run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from playground.access import People
from playground.commands.options import with_settings
from playground.settings import Flags, load_settings
from playground.store.accounts import Accounts

users = typer.Typer(name="users", help="Accounts of people.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The account's name.")]
Role = Annotated[str, typer.Option(help="guest, user, trainer or admin.")]


@contextmanager
def opened_people(flags: Flags) -> Iterator[People]:
    """Open the accounts and keys of the home that the flags name."""
    settings = load_settings(flags)
    people = People(Accounts(settings.home, settings.store.url))
    try:
        yield people
    finally:
        people.close()


@users.command("list")
@with_settings("", "store")
def list_users(flags: Flags) -> None:
    """List the accounts."""
    table = Table(box=box.SIMPLE)
    for column in ("name", "role", "state"):
        table.add_column(column, overflow="fold")
    with opened_people(flags) as people:
        for account in people.accounts():
            state = "disabled" if account.disabled else "active"
            table.add_row(account.name, account.role, state)
    Console().print(table)


@users.command()
@with_settings("", "store")
def add(flags: Flags, name: Name, role: Role = "user") -> None:
    """Make an account; the password is asked for, or read from stdin."""
    with opened_people(flags) as people:
        account = people.add_account(name, role, _password())
        print(f"{account.name} ({account.role}) can sign in now")


@users.command()
@with_settings("", "store")
def password(flags: Flags, name: Name) -> None:
    """Set a new password; the account's sessions end."""
    with opened_people(flags) as people:
        people.change_account(name, password=_password())
        print(f"{name} has a new password")


@users.command()
@with_settings("", "store")
def role(flags: Flags, name: Name, new: Annotated[str, typer.Argument(help="The role.")]) -> None:
    """Give an account another role; its sessions end."""
    with opened_people(flags) as people:
        print(f"{name} is {people.change_account(name, role=new).role} now")


@users.command()
@with_settings("", "store")
def disable(
    flags: Flags,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Let it in again.")] = False,
) -> None:
    """Let an account in no more; its sessions end and its keys open nothing."""
    with opened_people(flags) as people:
        people.change_account(name, disabled=not undo)
        print(f"{name} is {'active' if undo else 'disabled'} now")


@users.command()
@with_settings("", "store")
def remove(flags: Flags, name: Name) -> None:
    """Remove an account with its sessions and keys; what it made stays."""
    with opened_people(flags) as people:
        print(f"{people.remove_account(name).name} is removed")


def _password() -> str:
    return getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
