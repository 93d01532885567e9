"""What the Admin tab does: the same calls as ``/v1/admin`` and the commands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import gradio as gr

from playground.access import People, describe_budget
from playground.access.oidc import OidcSignIn
from playground.errors import InvalidRequest
from playground.settings import LimitSettings
from playground.store.accounts import Account, Budget
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.markup import render
from playground.ui.components.status import verdict

SHOWN_OF_AUDIT = 50


@dataclass(frozen=True, slots=True)
class AdminUpdate:
    """What the tab shows after an action."""

    accounts: str
    account: gr.Dropdown
    key_account: gr.Dropdown
    keys: str
    key: gr.Dropdown
    audit: str
    note: str | Unchanged = ""
    secret: gr.Textbox | Unchanged = UNCHANGED
    password: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class BudgetUpdate:
    """The budget of the chosen account."""

    day_budget: str
    month_budget: str


@dataclass(frozen=True, slots=True)
class KeyBudgetUpdate:
    """The budget of the chosen key."""

    key_day_budget: str
    key_month_budget: str


@dataclass(frozen=True, slots=True)
class AdminHandlers:
    """The handlers of the tab. ``limits`` has the budget of whoever has none of their own."""

    people: People
    oidc: OidcSignIn | None = None
    limits: LimitSettings = field(default_factory=LimitSettings)

    def refresh(self) -> AdminUpdate:
        """Show accounts, keys and the audit log as they are now; what an action said stays, which
        may have been quicker."""
        return replace(self._shown(), note=UNCHANGED, secret=UNCHANGED)

    def add_account(self, name: str, role: str, password: str) -> AdminUpdate:
        """Make an account; without a password for whoever the provider calls by that name."""
        given = None if self.oidc and not password else password
        account = self.people.add_account(name.strip(), role, given)
        return replace(self._shown(f"{account.name} can sign in now"), password="")

    def change_role(self, name: str | None, role: str) -> AdminUpdate:
        """Give an account another role."""
        account = self.people.change_account(_chosen(name), role=role)
        return self._shown(f"{account.name} is {account.role} now and has to sign in again")

    def disable(self, name: str | None) -> AdminUpdate:
        """Let an account in no more."""
        return self._shown(f"{self._switch(name, disabled=True)} is disabled and signed out")

    def enable(self, name: str | None) -> AdminUpdate:
        """Let an account in again."""
        return self._shown(f"{self._switch(name, disabled=False)} can sign in again")

    def remove(self, name: str | None) -> AdminUpdate:
        """Remove an account with its keys."""
        account = self.people.remove_account(_chosen(name))
        return self._shown(f"{account.name} is removed, and its keys")

    def add_key(
        self, name: str, scopes: list[str], account: str | None, days: float | None
    ) -> AdminUpdate:
        """Make a key and show it, this once."""
        made = self.people.add_key(name, scopes, account=account or None, days=days or None)
        secret = gr.Textbox(made.secret, visible=True)
        return replace(self._shown(f"The key {made.key.name} is created"), secret=secret)

    def revoke(self, key: str | None) -> AdminUpdate:
        """Make a key open nothing from now on."""
        if not key:
            raise InvalidRequest("key", "choose one first")
        return self._shown(f"The key {self.people.revoke_key(key).name} is revoked")

    def _switch(self, name: str | None, *, disabled: bool) -> str:
        return self.people.change_account(_chosen(name), disabled=disabled).name

    def show_budget(self, name: str | None) -> BudgetUpdate:
        """Show what the answers of the chosen account may cost."""
        account = self.people.find(name) if name else None
        return BudgetUpdate(*_amounts(account.budget if account else Budget()))

    def set_budget(self, name: str | None, day: str, month: str) -> AdminUpdate:
        """Say what an account's answers may cost; nothing for what the settings say."""
        account = self.people.set_budget(_chosen(name), _budget(day, month))
        return self._shown(f"{account.name} has this budget now: {self._usd(account.budget)}")

    def show_key_budget(self, key: str | None) -> KeyBudgetUpdate:
        """Show what the answers to the chosen key may cost."""
        return KeyBudgetUpdate(*_amounts(self.people.key(key).budget if key else Budget()))

    def set_key_budget(self, key: str | None, day: str, month: str) -> AdminUpdate:
        """Say what the answers to a key may cost."""
        if not key:
            raise InvalidRequest("key", "choose one first")
        changed = self.people.set_key_budget(key, _budget(day, month))
        return self._shown(f"{changed.name} has this budget now: {self._usd(changed.budget)}")

    def _ways(self, account: Account, linked: Mapping[str, Sequence[str]]) -> str:
        providers = map(self._named, linked.get(account.id, ()))
        ways = [*(["password"] if account.password else []), *providers]
        return ", ".join(ways) or "nothing yet"

    def _usd(self, budget: Budget) -> str:
        return describe_budget(budget, self.limits) or "–"

    def _named(self, issuer: str) -> str:
        return self.oidc.name if self.oidc and self.oidc.issuer == issuer else issuer

    def _shown(self, text: str = "") -> AdminUpdate:
        accounts, keys = self.people.accounts(), self.people.api_keys()
        names = [account.name for account in accounts]
        linked = self.people.identities.linked()
        owners = {account.id: account.name for account in accounts}
        valid = [(f"{key.name} ({key.hint}…)", key.id) for key in keys if key.is_valid]
        return AdminUpdate(
            accounts=render(
                "admin/accounts.html",
                accounts=accounts,
                date=_date,
                usd=self._usd,
                ways={account.id: self._ways(account, linked) for account in accounts},
            ),
            account=gr.Dropdown(names),
            key_account=gr.Dropdown([("None", ""), *names]),
            keys=render("admin/keys.html", keys=keys, owners=owners, date=_date, usd=self._usd),
            key=gr.Dropdown(valid, value=None),
            audit=render("admin/audit.html", lines=self.people.audit(SHOWN_OF_AUDIT), date=_date),
            note=verdict(text, good=True) if text else "",
            secret=gr.Textbox("", visible=False),
        )


def _budget(day: str, month: str) -> Budget:
    """Read what was typed; an empty field is for what the settings say."""
    return Budget(_amount("USD a day", day), _amount("USD a month", month))


def _amount(label: str, typed: str) -> float | None:
    text = typed.strip().removeprefix("$").strip()
    if not text:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise InvalidRequest(label, f"{typed!r} is no number") from None


def _amounts(budget: Budget) -> tuple[str, str]:
    amounts = (budget.usd_per_day, budget.usd_per_month)
    day, month = ("" if usd is None else f"{usd:g}" for usd in amounts)
    return day, month


def _chosen(name: str | None) -> str:
    if not name:
        raise InvalidRequest("account", "choose one first")
    return name


def _date(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else "–"
