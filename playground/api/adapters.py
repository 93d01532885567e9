"""``/v1/load_lora_adapter`` and ``/v1/unload_lora_adapter``, as vLLM has them
(vllm/entrypoints/openai/api_server.py): adapters come and go while the server answers.
"""

import asyncio
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse

from playground.errors import InvalidRequest
from playground.protocol import AdapterHost, Backend
from playground.settings import Settings


class LoadBody(BaseModel):
    """Body of load_lora_adapter: a folder in PEFT's format, relative to this server's adapters."""

    model_config = ConfigDict(extra="forbid")
    lora_name: str = Field(min_length=1)
    lora_path: str = Field(min_length=1)


class UnloadBody(BaseModel):
    """Body of unload_lora_adapter."""

    model_config = ConfigDict(extra="ignore")
    lora_name: str


def adapters_router(backend: Backend, settings: Settings) -> APIRouter:
    """Load and unload adapters, on a backend that hosts them."""
    router = APIRouter()

    @router.post("/load_lora_adapter")
    async def load_adapter(body: LoadBody) -> PlainTextResponse:
        folder = _folder(body.lora_path, settings)
        await asyncio.to_thread(_host(backend).load_adapter, folder, body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    @router.post("/unload_lora_adapter")
    async def unload_adapter(body: UnloadBody) -> PlainTextResponse:
        _host(backend).unload_adapter(body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    return router


def _host(backend: Backend) -> AdapterHost:
    if not isinstance(backend, AdapterHost):
        raise InvalidRequest("lora_name", "this backend has no adapters")
    return backend


def _folder(path: str, settings: Settings) -> Path:
    """Resolve a client's path, which lies inside the adapters folder unless others are allowed."""
    store = (settings.home / "adapters").resolve()
    folder = (store / Path(path).expanduser()).resolve()
    if not folder.is_relative_to(store) and not settings.adapters.from_anywhere:
        raise InvalidRequest(
            "lora_path",
            f"lies outside {store}; the server takes others with --adapters-from-anywhere",
        )
    return folder
