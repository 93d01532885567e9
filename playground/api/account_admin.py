"""``/v1/admin``: accounts, API keys and the audit log, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from playground.access import People
from playground.store.accounts import Account, ApiKey


class AccountBody(BaseModel):
    """Body of ``POST /v1/admin/users``."""

    model_config = ConfigDict(extra="forbid")
    name: str
    role: str = "user"
    password: str


class AccountChange(BaseModel):
    """Body of ``POST /v1/admin/users/NAME``; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    role: str | None = None
    password: str | None = None
    disabled: bool | None = None


class KeyBody(BaseModel):
    """Body of ``POST /v1/admin/keys``."""

    model_config = ConfigDict(extra="forbid")
    name: str
    scopes: list[str] = ["chat"]
    user: str | None = None
    expires_in_days: float | None = None


def account_admin_router(people: People) -> APIRouter:
    """List, make, change and remove accounts and keys."""
    router = APIRouter(prefix="/admin")

    @router.get("/users")
    def users() -> dict[str, object]:
        return {"object": "list", "data": [_account(each) for each in people.accounts()]}

    @router.post("/users")
    def add_user(body: AccountBody) -> dict[str, object]:
        return _account(people.add_account(body.name, body.role, body.password))

    @router.post("/users/{name}")
    def change_user(name: str, body: AccountChange) -> dict[str, object]:
        changes = {"role": body.role, "password": body.password}
        return _account(people.change_account(name, disabled=body.disabled, **changes))

    @router.delete("/users/{name}")
    def remove_user(name: str) -> dict[str, object]:
        account = people.remove_account(name)
        return {"id": account.id, "object": "user", "deleted": True}

    @router.get("/keys")
    def keys() -> dict[str, object]:
        return {"object": "list", "data": [_key(each) for each in people.api_keys()]}

    @router.post("/keys")
    def add_key(body: KeyBody) -> dict[str, object]:
        made = people.add_key(body.name, body.scopes, account=body.user, days=body.expires_in_days)
        return _key(made.key) | {"key": made.secret}

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


def _account(account: Account) -> dict[str, object]:
    return {
        "id": account.id,
        "object": "user",
        "name": account.name,
        "role": account.role,
        "disabled": account.disabled,
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
    }
