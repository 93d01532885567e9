"""`playground users`: accounts of this home. The server need not run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from typing import Annotated

import typer

from playground.access import People, describe_budget
from playground.commands.options import with_settings
from playground.commands.tables import new_table, print_table
from playground.settings import Flags, load_settings
from playground.store.accounts import Accounts, Budget

users = typer.Typer(name="users", help="Accounts of people.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The account's name.")]
Role = Annotated[str, typer.Option(help="guest, user, trainer or admin.")]

NO_BUDGET = "none of its own, and none in the settings"
UsdPerDay = Annotated[float | None, typer.Option(help="USD that answers may cost in a day.")]
UsdPerMonth = Annotated[float | None, typer.Option(help="USD that answers may cost in a month.")]


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
    table = new_table(("name", "role", "state", "signs in with", "budget"))
    limits = load_settings(flags).limits
    with opened_people(flags) as people:
        linked = people.identities.linked()
        for account in people.accounts():
            state = "disabled" if account.disabled else "active"
            ways = [*(["password"] if account.password else []), *linked.get(account.id, [])]
            table.add_row(
                account.name, account.role, state, ", ".join(ways) or "nothing yet",
                describe_budget(account.budget, limits),
            )  # fmt: skip
    print_table(table)


@users.command()
@with_settings("", "store")
def add(
    flags: Flags,
    name: Name,
    role: Role = "user",
    without_password: Annotated[
        bool,
        typer.Option("--no-password", help="For whom the provider calls by this name."),
    ] = False,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
) -> None:
    """Make an account; the password is asked for, or read from stdin."""
    with opened_people(flags) as people:
        password = None if without_password else _password()
        account = people.add_account(name, role, password, Budget(usd_per_day, usd_per_month))
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
def budget(
    flags: Flags, name: Name, usd_per_day: UsdPerDay = None, usd_per_month: UsdPerMonth = None
) -> None:
    """Set what answers may cost; what is left out is that of the settings."""
    with opened_people(flags) as people:
        account = people.set_budget(name, Budget(usd_per_day, usd_per_month))
        shown = describe_budget(account.budget, load_settings(flags).limits)
        print(f"budget of {name}: {shown or NO_BUDGET}")


@users.command()
@with_settings("", "store", "access")
def link(
    flags: Flags,
    name: Name,
    subject: Annotated[str, typer.Argument(help="The provider's sub for this person.")],
) -> None:
    """Let whom the provider (access.oidc) calls SUBJECT sign in to an account."""
    issuer = load_settings(flags).access.oidc.issuer or ""
    with opened_people(flags) as people:
        people.link(name, issuer.rstrip("/"), subject)
        print(f"{name} can sign in with {issuer}")


@users.command()
@with_settings("", "store")
def unlink(flags: Flags, name: Name) -> None:
    """Let no provider sign in to an account."""
    with opened_people(flags) as people:
        people.unlink(name)
        print(f"{name} is linked to no provider")


@users.command()
@with_settings("", "store")
def remove(flags: Flags, name: Name) -> None:
    """Remove an account with its sessions and keys; what it made stays."""
    with opened_people(flags) as people:
        print(f"{people.remove_account(name).name} is removed")


def _password() -> str:
    return getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
