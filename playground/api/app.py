"""The HTTP face: OpenAI's API, and Together's where it differs.

Translates shapes and errors, nothing else; HTTP statuses live here only. Knows no model and no
page.
"""

import time

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.api.account_admin import account_admin_router
from playground.api.adapter_store import adapter_store_router, exports_router
from playground.api.adapters import adapters_router, unpromoted_loader
from playground.api.batches import batches_router
from playground.api.body_limit import MIB, BodyLimit
from playground.api.chat import chat_router
from playground.api.classify import classify_router
from playground.api.completions import completion_router
from playground.api.connection import loading_check
from playground.api.conversations import conversations_router
from playground.api.delivery import Delivery
from playground.api.dispatch import Dispatcher
from playground.api.edge import Edge, plain_path
from playground.api.embeddings import embeddings_router
from playground.api.errors import install_error_handlers
from playground.api.feedback import feedback_router
from playground.api.files import announced_files_router, files_router
from playground.api.fine_tuning import fine_tuning_router
from playground.api.gate import Gate
from playground.api.links import links_router
from playground.api.messages import messages_router
from playground.api.metrics import live_router, metrics_router
from playground.api.mistral import mistral_router
from playground.api.models import models_router, projects_router
from playground.api.openapi import install_document
from playground.api.origins import Origins
from playground.api.page_guard import PageGuard
from playground.api.page_policy import PagePolicy
from playground.api.prompt_reference import PromptReferences
from playground.api.prompts import prompts_router
from playground.api.request_log import REQUEST_ID, RequestLog
from playground.api.responses import responses_router
from playground.api.root import PageRoot, Root
from playground.api.sign_in import sign_in_router
from playground.api.stored_chat import stored_chat_router
from playground.api.sweeps import sweeps_router
from playground.api.together_tuning import together_download_router, together_tuning_router
from playground.api.tokenize import tokenize_router
from playground.api.tokens import tokens_router
from playground.api.traces import TraceRequests
from playground.api.uploads import uploads_router
from playground.api.usage import usage_router
from playground.backends.low_priority import LowPriority
from playground.protocol import Backend
from playground.services import Services
from playground.settings import ServerSettings
from playground.store.part_uploads import PartUploads
from playground.store.uploads import Uploads
from playground.studio.studio import Studio

__all__ = ["create_api"]

API_PATHS = (
    "/v1", "/v2", "/health", "/ready", "/metrics", "/tokenize", "/detokenize", "/version", "/docs",
)  # fmt: skip
CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")


def create_api(services: Services) -> FastAPI:
    """An application that answers the API's paths; a page may be mounted on it for all others.

    Without a studio it has no files and no fine-tuning jobs.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(PageRoot)
    app.add_middleware(PageGuard, limits=services.settings.server)
    origins = Origins.from_settings(services.settings)
    frames = services.settings.server.frame_ancestors
    app.add_middleware(
        Gate, access=services.access, origins=origins, frames=frames, models=services.backend.models
    )
    app.add_middleware(PagePolicy)
    api = Gate(_api(services), services.access, origins)
    app.add_middleware(ApiPaths, api=_with_edge(api, services.settings.server))
    app.add_middleware(Delivery)
    if services.tracer:
        app.add_middleware(TraceRequests, tracer=services.tracer)
    app.add_middleware(RequestLog)
    app.add_middleware(Root, root_path=services.settings.server.root_path)
    app.include_router(sign_in_router(services.access))
    return app


def _with_edge(api: ASGIApp, server: ServerSettings) -> ASGIApp:
    """The API as it is reached: plain paths, and CORS for the origins that are allowed.

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
    parts = PartUploads(services.settings.home, uploads, int(server.max_upload_mib * MIB))
    api = FastAPI(openapi_url=None, redirect_slashes=False)
    install_error_handlers(api)
    api.add_middleware(BodyLimit, max_mib=server.max_body_mib, max_upload_mib=server.max_upload_mib)
    api.include_router(_health_router(backend))
    if services.metrics:
        api.include_router(metrics_router(services.metrics))
    if services.live:
        api.include_router(live_router(services.live), prefix="/v1")
    if services.access.people and services.access.needs_key:
        oidc = services.access.oidc
        admin = account_admin_router(services.access.people, oidc.issuer if oidc else "")
        api.include_router(admin, prefix="/v1")
        if services.access.links:
            api.include_router(links_router(services.access.links), prefix="/v1")

    keyed = APIRouter(dependencies=[Depends(loading_check(backend))])
    keyed.include_router(tokenize_router(backend))
    for router in (
        _answering_router(backend, services),
        models_router(backend, studio),
        adapters_router(backend, services.settings, studio),
        *(_studio_routers(studio, uploads, parts) if studio else []),
        *([stored_chat_router(services.completions)] if services.completions else []),
        *([batches_router(services.batches)] if services.batches else []),
        *([feedback_router(services.feedback)] if services.feedback else []),
        *([prompts_router(services.prompts)] if services.prompts else []),
        *([sweeps_router(services.sweeps, uploads)] if services.sweeps else []),
        *([conversations_router(services.conversations)] if services.conversations else []),
        *([usage_router(services.usage)] if services.usage else []),
        *(_tuning_routers(backend, studio, uploads) if studio else []),
    ):
        keyed.include_router(router, prefix="/v1")
    keyed.include_router(projects_router(backend), prefix="/v2")
    if studio:
        api.include_router(announced_files_router(uploads), prefix="/v1")
    api.include_router(keyed)
    install_document(api)
    if services.batches:
        services.batches.start(Dispatcher(_batch_api(services)), lambda: backend.running)
    return api


def _answering_router(backend: Backend, services: Services) -> APIRouter:
    """The endpoints whose answers the model writes."""
    studio = services.studio
    unpromoted = [Depends(unpromoted_loader(backend, studio))] if studio else []
    answering = APIRouter(dependencies=unpromoted)
    for router in (
        chat_router(backend, services.completions),
        completion_router(backend),
        responses_router(
            backend,
            services.responses,
            PromptReferences(services.prompts, services.uploads),
            services.conversations,
        ),
        messages_router(backend),
        classify_router(backend),
        tokens_router(backend),
        embeddings_router(backend),
        mistral_router(),
    ):
        answering.include_router(router)
    return answering


def _batch_api(services: Services) -> ASGIApp:
    """The same endpoints for the requests of batches, which wait behind all others."""
    api = FastAPI(openapi_url=None)
    install_error_handlers(api)
    api.include_router(_answering_router(LowPriority(services.backend), services), prefix="/v1")
    return RequestLog(Edge(api))


def _studio_routers(studio: Studio, uploads: Uploads, parts: PartUploads) -> list[APIRouter]:
    return [
        files_router(uploads),
        uploads_router(parts),
        adapter_store_router(studio),
        exports_router(studio),
    ]


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
    @router.get("/ready")
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
