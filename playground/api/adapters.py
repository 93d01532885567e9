"""``/v1/load_lora_adapter`` and ``/v1/unload_lora_adapter``, as vLLM has them
(vllm/entrypoints/openai/api_server.py): adapters come and go while the server answers.

Also serves the checkpoints of training jobs and the versions of the store once a request names one:
``BASE:JOB.step-N``, ``BASE:NAME.v2``.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from playground.errors import InvalidRequest
from playground.protocol import AdapterHost, Backend, find_model
from playground.settings import Settings
from playground.studio.studio import Studio

UNPROMOTED = re.compile(rb"\.(step-|v[1-9])")
"""In the body of every request that names a checkpoint or a version."""


class LoadBody(BaseModel):
    """The adapter to serve: a folder in PEFT's format, relative to the adapters of this server.

    Without ``lora_path``, ``lora_name`` names a checkpoint of a training job or a version.
    ``load_inplace`` false refuses a name that is served already, as vLLM does by default; here an
    adapter takes the place of one of its name unless it says so.
    """

    model_config = ConfigDict(extra="forbid")
    lora_name: str = Field(min_length=1)
    lora_path: str | None = Field(default=None, min_length=1)
    load_inplace: bool | None = None


class UnloadBody(BaseModel):
    """The adapter to serve no longer."""

    model_config = ConfigDict(extra="ignore")
    lora_name: str


def adapters_router(backend: Backend, settings: Settings, studio: Studio | None) -> APIRouter:
    """Load and unload adapters, on a backend that hosts them."""
    router = APIRouter()

    @router.post("/load_lora_adapter")
    async def load_adapter(body: LoadBody) -> PlainTextResponse:
        host = _host(backend)
        if body.load_inplace is False and find_model(await backend.models(), body.lora_name):
            problem = f"{body.lora_name!r} is served already; load_inplace true replaces it"
            raise InvalidRequest("lora_name", problem)
        if body.lora_path is None:
            folder, name = await asyncio.to_thread(_checkpoint, body.lora_name, studio)
        else:
            folder, name = _folder(body.lora_path, settings), body.lora_name
        await asyncio.to_thread(host.load_adapter, folder, name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    @router.post("/unload_lora_adapter")
    async def unload_adapter(body: UnloadBody) -> PlainTextResponse:
        await asyncio.to_thread(_host(backend).unload_adapter, body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    return router


def unpromoted_loader(backend: Backend, studio: Studio) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency that serves what a request's ``model`` names and nobody has promoted."""

    async def load(http: Request) -> None:
        data = await http.body()
        if not UNPROMOTED.search(data):
            return
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):  # the endpoint says what is wrong with it
            return
        model = body.get("model") if isinstance(body, dict) else None
        if isinstance(model, str) and find_model(await backend.models(), model) is None:
            await asyncio.to_thread(studio.serve_unpromoted, model, f"api {model}")

    return load


def _host(backend: Backend) -> AdapterHost:
    if not isinstance(backend, AdapterHost):
        raise InvalidRequest("lora_name", "this backend has no adapters")
    return backend


def _checkpoint(name: str, studio: Studio | None) -> tuple[Path, str]:
    checkpoint = studio.find_unpromoted(name) if studio else None
    if checkpoint is None:
        problem = "is required: lora_name is no checkpoint of a training job and no version"
        raise InvalidRequest("lora_path", problem)
    folder, adapter_name, _ = checkpoint
    return folder, adapter_name


def _folder(path: str, settings: Settings) -> Path:
    """Resolve a client's path, which lies inside the adapters folder unless others are allowed."""
    store = (settings.home / "adapters").resolve()
    try:
        folder = (store / Path(path).expanduser()).resolve()
        folder.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, nobody's home
        raise InvalidRequest("lora_path", f"is no path of this machine: {error}") from error
    if not folder.is_relative_to(store) and not settings.adapters.from_anywhere:
        raise InvalidRequest(
            "lora_path",
            f"lies outside {store}; the server takes others with --adapters-from-anywhere",
        )
    return folder
