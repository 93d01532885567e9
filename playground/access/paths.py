"""Which area of the server a path belongs to: one table for API, page, downloads and jobs.

The first line that matches decides; what no line names is the administrator's, so that a new path
is closed until somebody decides who may use it. Knows paths and methods; knows no HTTP framework.
"""

import re
from typing import Final

from playground.access.roles import Area

HIDDEN_KEY: Final = "/gradio_api/(run|api)/predict"

RULES: Final[tuple[tuple[str, str, Area], ...]] = (
    # Nobody is asked.
    ("GET", r"/health|/ready|/docs|/v1/openapi\.json|/version", Area.PUBLIC),
    ("GET|POST", r"/login|/setup", Area.PUBLIC),
    ("GET", r"/login/(out|oidc(/callback|/out)?)", Area.PUBLIC),
    ("POST", r"/logout", Area.PUBLIC),
    ("GET", r"/favicon\.ico|/robots\.txt|/manifest\.json|/theme\.css|/pwa_icon.*", Area.PUBLIC),
    ("GET", r"/(static|assets|svelte)/.*|/gradio_api/theme\.css", Area.PUBLIC),
    ("PUT", r"/v1/files/[^/]+/bytes", Area.PUBLIC),  # the token in the address opens it, once
    # The page: which of its events, their handlers' modules say (`playground.ui`).
    ("GET", r"/|/config|/gradio_api/(info|openapi\.json|app_id|user|token)", Area.PAGE),
    ("GET", r"/gradio_api/(login_check|startup-events|deep_link|custom_component/.*)", Area.PAGE),
    ("GET", r"/gradio_api/(queue/(data|status)|heartbeat/[^/]+|stream/.*)", Area.PAGE),
    ("GET", r"/gradio_api/file(=|/).*", Area.PAGE),
    ("POST", r"/gradio_api/(queue/join|cancel|reset|stream/.*|component_server)", Area.PAGE),
    ("POST", HIDDEN_KEY, Area.PAGE),
    ("GET|POST", r"/gradio_api/(call|run|api)/.+", Area.CHAT),
    ("GET|POST", r"/gradio_api/upload(_progress)?", Area.FILES),
    # Answers.
    ("GET", r"/v1/models(/.+)?|/v2/projects/.+", Area.CHAT),
    ("POST", r"/v1/(chat/completions|completions|responses|messages)", Area.CHAT),
    ("POST", r"/v1/(messages/count_tokens|responses/input_tokens|classify)", Area.CHAT),
    ("POST", r"/v1/(embeddings|fim/completions|agents/completions)", Area.CHAT),
    ("POST", r"/v1/responses/[^/]+/cancel", Area.CHAT),
    ("POST", r"/tokenize|/detokenize|/v1/tokens/.+", Area.CHAT),
    ("GET", r"/v1/usage|/v1/organization/(usage/completions|costs)", Area.CHAT),
    # What people keep.
    (".*", r"/v1/(files|uploads|batches|conversations|prompts|sweeps|feedback)(/.*)?", Area.FILES),
    (".*", r"/v1/(chat/completions|responses)(/.*)?", Area.FILES),
    # Training and adapters.
    (".*", r"/v1/(fine_tuning/jobs|fine-tunes|adapters|exports)(/.*)?", Area.FINE_TUNE),
    ("GET", r"/v1/finetune/download", Area.FINE_TUNE),
    ("DELETE", r"/v1/models/.+", Area.FINE_TUNE),
    ("POST", r"/v1/(un)?load_lora_adapter", Area.FINE_TUNE),
    # Accounts, keys, the audit log, what the server does: and everything that is not named here.
    (".*", r"/v1/admin/.*|/metrics", Area.ADMIN),
)
_COMPILED: Final = tuple(
    (re.compile(methods), re.compile(path), area) for methods, path, area in RULES
)
EXPORTS: Final = re.compile(r"/v1/exports/[^/]+")
"""Downloads that the page links to."""
NAMED_ENDPOINT: Final = re.compile(r"/gradio_api/(call|run|api)/(?!predict$).+")
"""Endpoints of the page that are for programs, as ``/v1`` is."""


def area_of(method: str, path: str) -> Area:
    """Return the area of a plain path (`playground.api.edge`)."""
    method = "GET" if method == "HEAD" else method
    for methods, pattern, area in _COMPILED:
        if methods.fullmatch(method) and pattern.fullmatch(path):
            return area
    return Area.ADMIN


AREAS_OF_TABS: Final[tuple[tuple[str, Area], ...]] = (
    ("chat", Area.CHAT),
    ("json", Area.CHAT),
    ("compare", Area.CHAT),
    ("history", Area.CHAT),
    ("components", Area.CHAT),
    ("usage", Area.CHAT),
    ("page", Area.PAGE),
    ("visitor", Area.PAGE),
    ("functions", Area.FILES),
    ("prompts", Area.FILES),
    ("sweeps", Area.FILES),
    ("finetune", Area.FINE_TUNE),
)


def room_of_handler(module: str) -> str:
    """Return the room of a handler's module: ``chat`` of ``playground.ui.chat.events``."""
    return module.partition("playground.ui.")[2].partition(".")[0]


def area_of_handler(module: str) -> Area:
    """Return the area of an event of the page by the module of its handler."""
    room = room_of_handler(module)
    return next((area for name, area in AREAS_OF_TABS if name == room), Area.ADMIN)
