"""``/v1/admin``: accounts, API keys and the audit log, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from playground.access import People
from playground.errors import InvalidRequest
from playground.store.accounts import Account, ApiKey, Budget

Dollars = Annotated[float | None, Field(ge=0, allow_inf_nan=False)]


class AccountBody(BaseModel):
    """Body of ``POST /v1/admin/users``."""

    model_config = ConfigDict(extra="forbid")
    name: str
    role: str = "user"
    password: str | None = None
    """None for whoever signs in with the provider under this name."""
    usd_per_day: Dollars = None
    usd_per_month: Dollars = None


class AccountChange(BaseModel):
    """Body of ``POST /v1/admin/users/NAME``; what is left out stays. ``subject`` is the provider's
    for the account, null for none; a budget of null is that of the settings."""

    model_config = ConfigDict(extra="forbid")
    role: str | None = None
    password: str | None = None
    disabled: bool | None = None
    subject: str | None = None
    usd_per_day: Dollars = None
    usd_per_month: Dollars = None


class KeyBody(BaseModel):
    """Body of ``POST /v1/admin/keys``."""

    model_config = ConfigDict(extra="forbid")
    name: str
    scopes: list[str] = ["chat"]
    user: str | None = None
    expires_in_days: float | None = None
    usd_per_day: Dollars = None
    usd_per_month: Dollars = None


class KeyChange(BaseModel):
    """Body of ``POST /v1/admin/keys/ID``; a budget of null is that of the settings."""

    model_config = ConfigDict(extra="forbid")
    usd_per_day: Dollars = None
    usd_per_month: Dollars = None


def account_admin_router(people: People, issuer: str = "") -> APIRouter:
    """List, make, change and remove accounts and keys; ``issuer`` is the provider's, if there is
    one."""
    router = APIRouter(prefix="/admin")

    @router.get("/users")
    def users() -> dict[str, object]:
        linked = people.identities.linked()
        shown = [_account(each, each.id in linked) for each in people.accounts()]
        return {"object": "list", "data": shown}

    @router.post("/users")
    def add_user(body: AccountBody) -> dict[str, object]:
        if body.password is None and not issuer:
            raise InvalidRequest("password", "is missing; without a provider nobody signs in so")
        budget = Budget(body.usd_per_day, body.usd_per_month)
        return _account(people.add_account(body.name, body.role, body.password, budget))

    @router.post("/users/{name}")
    def change_user(name: str, body: AccountChange) -> dict[str, object]:
        account = _changed(people, issuer, name, body)
        return _account(account, account.id in people.identities.linked())

    @router.delete("/users/{name}")
    def remove_user(name: str) -> dict[str, object]:
        account = people.remove_account(name)
        return {"id": account.id, "object": "user", "deleted": True}

    @router.get("/keys")
    def keys() -> dict[str, object]:
        return {"object": "list", "data": [_key(each) for each in people.api_keys()]}

    @router.post("/keys")
    def add_key(body: KeyBody) -> dict[str, object]:
        made = people.add_key(
            body.name, body.scopes, account=body.user, days=body.expires_in_days,
            budget=Budget(body.usd_per_day, body.usd_per_month),
        )  # fmt: skip
        return _key(made.key) | {"key": made.secret}

    @router.post("/keys/{key_id}")
    def change_key(key_id: str, body: KeyChange) -> dict[str, object]:
        key = people.key(key_id)
        return _key(people.set_key_budget(key.id, _budget(body, key.budget)))

    @router.delete("/keys/{key_id}")
    def revoke_key(key_id: str) -> dict[str, object]:
        return _key(people.revoke_key(key_id))

    @router.get("/audit")
    def audit(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, object]:
        entries = [
            {"time": entry.time, "who": entry.who, "what": entry.what, "about": entry.about}
            for entry in people.audit(limit)
        ]
        return {"object": "list", "data": entries}

    return router


def _changed(people: People, issuer: str, name: str, body: AccountChange) -> Account:
    account = people.account(name)
    given = {"role": body.role, "password": body.password}
    if body.disabled is not None or any(given.values()):
        account = people.change_account(account.id, disabled=body.disabled, **given)
    if body.subject is not None:
        account = people.link(account.id, issuer, body.subject)
    elif "subject" in body.model_fields_set:
        account = people.unlink(account.id)
    if {"usd_per_day", "usd_per_month"} & body.model_fields_set:
        account = people.set_budget(account.id, _budget(body, account.budget))
    return account


def _budget(body: AccountChange | KeyChange, before: Budget) -> Budget:
    """The budget that is asked for; what is left out stays."""
    given = body.model_fields_set
    return Budget(
        body.usd_per_day if "usd_per_day" in given else before.usd_per_day,
        body.usd_per_month if "usd_per_month" in given else before.usd_per_month,
    )


def _account(account: Account, is_linked: bool = False) -> dict[str, object]:
    return {
        "id": account.id,
        "object": "user",
        "name": account.name,
        "role": account.role,
        "disabled": account.disabled,
        "has_password": account.password is not None,
        "is_linked": is_linked,
        "usd_per_day": account.budget.usd_per_day,
        "usd_per_month": account.budget.usd_per_month,
        "created": account.created,
    }


def _key(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "hint": key.hint,
        "scopes": list(key.scopes),
        "user": key.account_id,
        "created": key.created,
        "expires": key.expires,
        "last_used": key.last_used,
        "revoked": key.revoked,
        "usd_per_day": key.budget.usd_per_day,
        "usd_per_month": key.budget.usd_per_month,
    }
