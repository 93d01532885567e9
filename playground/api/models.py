"""Lists of models: ``/v1/models`` in OpenAI's form, ``/v2/projects/…/models`` in Together's."""

from fastapi import APIRouter

from playground.api.translate import model_info
from playground.protocol import Backend, ModelInfo

OWNER = "mistral-playground"


def models_router(backend: Backend) -> APIRouter:
    """OpenAI's list of models. An id may contain slashes."""
    router = APIRouter()

    @router.get("/models")
    async def list_models() -> dict[str, object]:
        return {"object": "list", "data": [_openai_model(info) for info in await backend.models()]}

    @router.get("/models/{name:path}")
    async def retrieve_model(name: str) -> dict[str, object]:
        return _openai_model(await model_info(name, backend))

    return router


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
    return {
        "id": info.name,
        "object": "model",
        "created": info.created,
        "owned_by": OWNER,
        "context_length": info.context_length,
        "description": info.description,
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
