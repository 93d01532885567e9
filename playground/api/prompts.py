"""``/v1/prompts``: stored prompts, their versions and labels; our own endpoints.

A version is used with ``prompt: {id, version, variables}`` of ``/v1/responses``.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from playground.api.connection import read_object
from playground.api.errors import Refused
from playground.api.paging import list_body, page_of
from playground.errors import InvalidRequest
from playground.lab.prompt_content import FIELDS, PromptContent
from playground.lab.prompt_files import export_prompts, import_prompts
from playground.lab.prompts import Prompt, Prompts, PromptVersion, unified_diff
from playground.protocol.json_types import JsonObject

YAML = "application/yaml"
Form = Literal["json", "yaml"]


def prompts_router(prompts: Prompts) -> APIRouter:
    """Create, list, change and delete prompts; import and export them."""
    router = APIRouter(prefix="/prompts")

    @router.get("")
    async def list_prompts(
        limit: int = Query(20, ge=1, le=100), after: str | None = None, format: Form = "json"
    ) -> Response:
        found = await asyncio.to_thread(prompts.all)
        if format == "yaml":
            return Response(export_prompts(found), media_type=YAML)
        page, more = page_of(found, lambda prompt: prompt.id, limit, after)
        return JSONResponse(list_body([prompt_body(prompt) for prompt in page], more))

    @router.post("")
    async def create(http: HttpRequest) -> dict[str, object]:
        name, message, tags, content = _parts(
            await read_object(http), ("name", "message", "tags"), need=("name",)
        )
        made = await asyncio.to_thread(prompts.create, name, content, message, tags)
        return prompt_body(await asyncio.to_thread(prompts.find, made.prompt_id))

    @router.post("/import")
    async def import_file(http: HttpRequest) -> dict[str, object]:
        try:
            text = (await http.body()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest("file", f"is not UTF-8: byte {error.start}") from error
        done = await asyncio.to_thread(import_prompts, prompts, text)
        rows = [
            {"name": each.name, "created": each.created, "added_versions": list(each.added)}
            for each in done
        ]
        return {"object": "prompt.import", "data": rows}

    @router.get("/{prompt_id}")
    async def retrieve(prompt_id: str, format: Form = "json") -> Response:
        prompt = await asyncio.to_thread(prompts.find, prompt_id)
        if format == "yaml":
            return Response(export_prompts([prompt]), media_type=YAML)
        return JSONResponse(prompt_body(prompt))

    @router.post("/{prompt_id}")
    async def change(prompt_id: str, http: HttpRequest) -> dict[str, object]:
        body = await read_object(http)
        _only(body, ("name", "tags"))
        name = _text(body, "name") if "name" in body else None
        tags = _texts(body, "tags") if "tags" in body else None
        return prompt_body(await asyncio.to_thread(prompts.change, prompt_id, name, tags))

    @router.delete("/{prompt_id}")
    async def delete(prompt_id: str) -> dict[str, object]:
        prompt = await asyncio.to_thread(prompts.find, prompt_id)
        await asyncio.to_thread(prompts.delete, prompt_id)
        return {"id": prompt.id, "object": "prompt", "deleted": True}

    @router.post("/{prompt_id}/labels")
    async def label(prompt_id: str, http: HttpRequest) -> dict[str, object]:
        body = await read_object(http)
        _only(body, ("label", "version"))
        version = _version_of(body.get("version"))
        done = asyncio.to_thread(prompts.label, prompt_id, _text(body, "label"), version)
        return prompt_body(await done)

    @router.delete("/{prompt_id}/labels/{name}")
    async def remove_label(prompt_id: str, name: str) -> dict[str, object]:
        return prompt_body(await asyncio.to_thread(prompts.remove_label, prompt_id, name))

    _add_versions(router, prompts)
    return router


def _add_versions(router: APIRouter, prompts: Prompts) -> None:
    """Versions of one prompt: save, list, render, compare."""

    @router.get("/{prompt_id}/versions")
    async def list_versions(
        prompt_id: str, limit: int = Query(20, ge=1, le=100), after: str | None = None
    ) -> dict[str, object]:
        found = (await asyncio.to_thread(prompts.find, prompt_id)).versions
        page, more = page_of(found[::-1], _version_id, limit, after)
        return list_body([version_body(version) for version in page], more)

    @router.post("/{prompt_id}/versions")
    async def save(prompt_id: str, http: HttpRequest) -> dict[str, object]:
        _, message, _, content = _parts(await read_object(http), ("message",))
        return version_body(await asyncio.to_thread(prompts.save, prompt_id, content, message))

    @router.get("/{prompt_id}/versions/{version}")
    async def retrieve_version(prompt_id: str, version: str) -> dict[str, object]:
        return version_body(await asyncio.to_thread(prompts.version, prompt_id, version))

    @router.post("/{prompt_id}/versions/{version}/render")
    async def render(prompt_id: str, version: str, http: HttpRequest) -> dict[str, object]:
        body = await read_object(http)
        _only(body, ("variables",))
        variables = body.get("variables") or {}
        if not isinstance(variables, dict):
            raise InvalidRequest("variables", "must be an object")
        found = await asyncio.to_thread(prompts.version, prompt_id, version)
        messages = await asyncio.to_thread(found.messages, variables)
        shown = [message.to_openai() for message in messages]
        return {"object": "prompt.rendered", "id": _version_id(found), "messages": shown}

    @router.get("/{prompt_id}/diff")
    async def diff(
        prompt_id: str, old: str = Query(alias="from"), new: str = Query("latest", alias="to")
    ) -> dict[str, object]:
        before = await asyncio.to_thread(prompts.version, prompt_id, old)
        after = await asyncio.to_thread(prompts.version, prompt_id, new)
        numbers = {"from": before.number, "to": after.number}
        return {"object": "prompt.diff", **numbers, "diff": unified_diff(before, after)}


def prompt_body(prompt: Prompt) -> dict[str, object]:
    """A prompt as JSON; ``version`` is the one that a reference without a version means."""
    newest = prompt.versions[-1].number
    return {
        "id": prompt.id,
        "object": "prompt",
        "name": prompt.name,
        "created_at": int(prompt.created.timestamp()),
        "tags": list(prompt.tags),
        "labels": dict(prompt.labels),
        "version": str(prompt.labels.get("production", newest)),
        "latest_version": str(newest),
    }


def version_body(version: PromptVersion) -> dict[str, object]:
    """A version as JSON, its content beside its number."""
    return {
        "id": _version_id(version),
        "object": "prompt.version",
        "prompt": version.prompt_id,
        "name": version.name,
        "version": str(version.number),
        "message": version.message,
        "created_at": int(version.created.timestamp()),
        "labels": list(version.labels),
        **version.content.to_json(),
    }


def _version_id(version: PromptVersion) -> str:
    return f"{version.prompt_id}/{version.number}"


def _parts(
    body: JsonObject, also: Sequence[str], need: Sequence[str] = ()
) -> tuple[str, str, list[str], PromptContent]:
    """Name, message and tags of a body, as far as it may have them, and its content."""
    _only(body, (*also, *FIELDS))
    for name in (*need, "messages"):
        if name not in body:
            problem = f"{name}: this field is required"
            raise Refused(400, "missing_required_parameter", problem, name)
    content = {name: value for name, value in body.items() if name in FIELDS}
    name, message = _text(body, "name"), _text(body, "message")
    return name, message, _texts(body, "tags"), PromptContent.from_json(content)


def _only(body: Mapping[str, object], known: Sequence[str]) -> None:
    for name in body:
        if name not in known:
            problem = f"unrecognized request argument: {name}"
            raise Refused(400, "unrecognized_request_argument", problem, name)


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise InvalidRequest(name, "must be text")
    return value


def _texts(body: Mapping[str, object], name: str) -> list[str]:
    value: Any = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidRequest(name, "must be a list of texts")
    return list(value)


def _version_of(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidRequest("version", "is needed, as a number or a label")
    return value
