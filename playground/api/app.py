"""The HTTP face: OpenAI's API, and Together's where it differs.

Translates shapes and errors, nothing else; HTTP statuses live here only. Knows no model and no
page.
"""

import time

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.api.adapter_store import adapter_store_router
from playground.api.adapters import adapters_router, unpromoted_loader
from playground.api.body_limit import BodyLimit
from playground.api.chat import chat_router
from playground.api.completions import completion_router
from playground.api.connection import key_check, loading_check
from playground.api.conversations import conversations_router
from playground.api.delivery import Delivery
from playground.api.edge import REQUEST_ID, Edge, plain_path
from playground.api.errors import install_error_handlers
from playground.api.feedback import feedback_router
from playground.api.files import announced_files_router, files_router
from playground.api.fine_tuning import fine_tuning_router
from playground.api.messages import messages_router
from playground.api.models import models_router, projects_router
from playground.api.page_guard import PageGuard
from playground.api.page_policy import PagePolicy
from playground.api.responses import responses_router
from playground.api.together_tuning import together_download_router, together_tuning_router
from playground.api.tokenize import tokenize_router
from playground.protocol import Backend
from playground.services import Services
from playground.settings import ServerSettings
from playground.store.uploads import Uploads
from playground.studio.studio import Studio

__all__ = ["create_api"]

API_PATHS = ("/v1", "/v2", "/health", "/tokenize", "/detokenize", "/version")
CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")


def create_api(services: Services) -> FastAPI:
    """An application that answers the API's paths; a page may be mounted on it for all others.

    Without a studio it has no files and no fine-tuning jobs.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(PagePolicy)
    app.add_middleware(PageGuard, access=services.access, limits=services.settings.server)
    app.add_middleware(ApiPaths, api=_with_edge(_api(services), services.settings.server))
    app.add_middleware(Delivery)
    return app


def _with_edge(api: ASGIApp, server: ServerSettings) -> ASGIApp:
    """The API as it is reached: ids and plain paths, and CORS for the origins that are allowed.

    Around everything else, so that errors and preflights get them too.
    """
    edge: ASGIApp = Edge(api)
    if not server.cors_origins:
        return edge
    return CORSMiddleware(
        edge,
        allow_origins=server.cors_origins,
        allow_methods=CORS_METHODS,
        allow_headers=["*"],
        allow_credentials="*" not in server.cors_origins,
        expose_headers=[REQUEST_ID, "retry-after"],
    )


class ApiPaths:
    """ASGI middleware: the API's paths go to an application of their own, whose error handlers
    and limits hold for them alone.
    """

    def __init__(self, app: ASGIApp, api: ASGIApp) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        path = plain_path(scope["path"]) if scope["type"] == "http" else ""
        is_api = any(path == root or path.startswith(f"{root}/") for root in API_PATHS)
        await (self._api if is_api else self._app)(scope, receive, send)


def _api(services: Services) -> FastAPI:
    backend, studio, uploads = services.backend, services.studio, services.uploads
    server = services.settings.server
    api = FastAPI(openapi_url=None, redirect_slashes=False)
    install_error_handlers(api)
    api.add_middleware(BodyLimit, max_mib=server.max_body_mib, max_upload_mib=server.max_upload_mib)
    api.include_router(_health_router(backend))

    keyed = APIRouter(
        dependencies=[Depends(key_check(services.access)), Depends(loading_check(backend))]
    )
    unpromoted = [Depends(unpromoted_loader(backend, studio))] if studio else []
    # Together's client adds /v1 or /v2 to a base URL that, as OpenAI's, ends in /v1 already.
    for base in ("", "/v1"):
        keyed.include_router(tokenize_router(backend), prefix=base)
        for router in (
            chat_router(backend),
            completion_router(backend),
            responses_router(backend, services.responses, services.conversations),
            messages_router(backend),
        ):
            keyed.include_router(router, prefix=f"{base}/v1", dependencies=unpromoted)
        for router in (
            models_router(backend, studio),
            adapters_router(backend, services.settings, studio),
            *([files_router(uploads), adapter_store_router(studio)] if studio else []),
            *([feedback_router(services.feedback)] if services.feedback else []),
            *([conversations_router(services.conversations)] if services.conversations else []),
            *(_tuning_routers(backend, studio, uploads) if studio else []),
        ):
            keyed.include_router(router, prefix=f"{base}/v1")
        keyed.include_router(projects_router(backend), prefix=f"{base}/v2")
        if studio:
            api.include_router(announced_files_router(uploads), prefix=f"{base}/v1")
    api.include_router(keyed)
    return api


def _tuning_routers(backend: Backend, studio: Studio, uploads: Uploads) -> list[APIRouter]:
    return [
        fine_tuning_router(backend, studio, uploads),
        together_tuning_router(backend, studio, uploads),
        together_download_router(studio),
    ]


def _health_router(backend: Backend) -> APIRouter:
    router = APIRouter()
    began = time.monotonic()

    @router.get("/health")
    async def health() -> Response:
        running = backend.running
        reply: dict[str, object] = {
            "status": "ok" if running else "loading" if backend.loading else "stopped",
            "model": (await backend.models())[0].name,
            "uptime": round(time.monotonic() - began, 3),
        }
        headers = {"Retry-After": "1"} if backend.loading else {}
        return JSONResponse(reply, 200 if running else 503, headers)

    return router
