"""Lists of models: ``/v1/models`` in OpenAI's form, ``/v2/projects/…/models`` in Together's.

Together's clients read ``/v1/models`` as a bare list, and get it.
"""

import asyncio
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from playground.api.errors import Refused
from playground.api.together_client import is_together
from playground.api.translate import model_info
from playground.errors import UnknownModel
from playground.protocol import AdapterHost, Backend, ModelInfo
from playground.studio.studio import Studio

OWNER = "mistral-playground"


def models_router(backend: Backend, studio: Studio | None) -> APIRouter:
    """OpenAI's list of models; fine-tuned ones may be deleted. An id may contain slashes."""
    router = APIRouter()

    @router.get("/models")
    async def list_models(http: Request) -> JSONResponse:
        models = await backend.models()
        if is_together(http):
            return JSONResponse([_listed_model(info) for info in models])
        return JSONResponse({"object": "list", "data": [_openai_model(info) for info in models]})

    @router.get("/models/{name:path}")
    async def retrieve_model(name: str) -> dict[str, object]:
        try:
            return _openai_model(await model_info(name, backend))
        except UnknownModel:
            found = await asyncio.to_thread(studio.find_unpromoted, name) if studio else None
            if found is None:
                raise
        base = (await backend.models())[0]
        return _openai_model(replace(base, name=f"{base.name}:{found[1]}", adapter=found[1]))

    @router.delete("/models/{name:path}")
    async def delete_model(name: str) -> dict[str, object]:
        info = await model_info(name, backend)
        if not info.adapter or not isinstance(backend, AdapterHost):
            problem = f"{info.name} is a base model; only fine-tuned ones can be deleted"
            raise Refused(403, "model_not_deletable", problem, "model")
        await asyncio.to_thread(_delete, info.adapter, backend, studio)
        return {"id": info.name, "object": "model", "deleted": True}

    return router


def _delete(adapter: str, host: AdapterHost, studio: Studio | None) -> None:
    """Remove an adapter from the store with all its versions; one of elsewhere is only unloaded."""
    if studio is not None and adapter in studio.store.names():
        studio.remove(adapter)
    else:
        host.unload_adapter(adapter)


def projects_router(backend: Backend) -> APIRouter:
    """Together's list of models; every project sees the same ones."""
    router = APIRouter()

    @router.get("/projects/{project}/models")
    async def list_models(project: str) -> dict[str, object]:
        models = [_together_model(info, project) for info in await backend.models()]
        return {"data": models, "next_cursor": None}

    @router.get("/projects/{project}/models/{name:path}")
    async def retrieve_model(project: str, name: str) -> dict[str, object]:
        return _together_model(await model_info(name, backend), project)

    return router


def _openai_model(info: ModelInfo) -> dict[str, object]:
    """OpenAI's model object, with what Mistral's client requires."""
    return {
        "id": info.name,
        "object": "model",
        "created": info.created,
        "owned_by": OWNER,
        "context_length": info.context_length,
        "description": info.description,
        "type": "base",
        "name": info.name,
        "max_context_length": info.context_length,
        "aliases": [info.adapter] if info.adapter else [],
        "capabilities": {
            "completion_chat": True,
            "function_calling": info.capabilities.tools,
            "reasoning": info.capabilities.reasoning,
            "completion_fim": False,
            "fine_tuning": info.capabilities.training,
            "vision": False,
            "schema": info.capabilities.schema,
            "logprobs": info.capabilities.logprobs,
        },
    }


def _listed_model(info: ModelInfo) -> dict[str, object]:
    """An entry of Together's bare list."""
    return {
        "id": info.name,
        "object": "model",
        "created": info.created,
        "type": "chat",
        "display_name": info.name,
        "organization": OWNER,
        "context_length": info.context_length,
        "pricing": {"input": 0, "output": 0, "hourly": 0, "base": 0, "finetune": 0},
    }


def _together_model(info: ModelInfo, project: str) -> dict[str, object]:
    return {
        "id": info.name,
        "name": info.name,
        "description": info.description,
        "organizationId": OWNER,
        "projectId": project,
        "visibility": "VISIBILITY_INTERNAL",
        "weights": {"type": "WEIGHTS_TYPE_DEFAULT", "contextLength": str(info.context_length)},
    }
