"""`playground keys`: API keys of this home. A running server knows of a change at once."""

import datetime
from typing import Annotated

import typer

from playground.access import describe_budget
from playground.commands.options import with_settings
from playground.commands.tables import new_table, print_table
from playground.commands.users import (
    NO_BUDGET,
    UsdPerDay,
    UsdPerMonth,
    opened_people,
)
from playground.settings import Flags, load_settings
from playground.store.accounts import Budget

keys = typer.Typer(name="keys", help="API keys.", no_args_is_help=True)


@keys.command("list")
@with_settings("", "store")
def list_keys(flags: Flags) -> None:
    """List the keys, the newest first; of each its first characters are known."""
    columns = ("id", "name", "key", "scopes", "account", "expires", "last used", "budget", "state")
    table = new_table(columns, ("key", "state"))
    limits = load_settings(flags).limits
    with opened_people(flags) as people:
        names = {account.id: account.name for account in people.accounts()}
        for key in people.api_keys():
            state = "revoked" if key.revoked else "valid" if key.is_valid else "expired"
            table.add_row(
                key.id, key.name, f"{key.hint}…", ", ".join(key.scopes),
                names.get(key.account_id or "", ""), _date(key.expires), _date(key.last_used),
                describe_budget(key.budget, limits), state,
            )  # fmt: skip
    print_table(table)


@keys.command()
@with_settings("", "store")
def create(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="chat, files, fine-tune or admin; several times for several."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The account that it is for.")] = None,
    days: Annotated[float | None, typer.Option(help="It expires after that many days.")] = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
) -> None:
    """Make a key and print it, this once: of it only a hash is kept."""
    budget, scopes = Budget(usd_per_day, usd_per_month), scope or ["chat"]
    with opened_people(flags) as people:
        print(people.add_key(name, scopes, account=user, days=days, budget=budget).secret)


@keys.command()
@with_settings("", "store")
def budget(
    flags: Flags,
    key: Annotated[str, typer.Argument(help="The key's id or first characters.")],
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
) -> None:
    """Set what answers may cost; what is left out is that of the settings."""
    with opened_people(flags) as people:
        changed = people.set_key_budget(key, Budget(usd_per_day, usd_per_month))
        shown = describe_budget(changed.budget, load_settings(flags).limits)
        print(f"budget of {changed.name}: {shown or NO_BUDGET}")


@keys.command()
@with_settings("", "store")
def revoke(
    flags: Flags, key: Annotated[str, typer.Argument(help="The key's id or first characters.")]
) -> None:
    """Make a key open nothing from now on."""
    with opened_people(flags) as people:
        print(f"{people.revoke_key(key).name} is revoked")


def _date(seconds: float | None) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC) if seconds else None
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"
