"""Settings that are part of an address: the path that a proxy serves under, origins of pages."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
ORIGIN: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")
RESERVED: Final = frozenset(
    (
        "assets", "config", "d", "detokenize", "docs", "favicon.ico", "gradio_api", "health",
        "login", "logout", "manifest.json", "metrics", "monitoring", "openapi.json", "pwa_icon",
        "ready", "robots.txt", "setup", "static", "svelte", "theme.css", "tokenize", "v1", "v2",
        "version",
    )
)  # fmt: skip
"""First parts of the playground's own paths: beneath one of them it could not be told which is
which."""


def _check_path(path: str) -> str:
    path = path.rstrip("/")
    if not path:
        return ""
    parts = path.split("/")[1:]
    if not PATH.fullmatch(path) or {".", ".."} & set(parts):
        raise ValueError("write a path as /playground: letters, digits and . _ ~ - between slashes")
    if parts[0] in RESERVED:
        raise ValueError(f"/{parts[0]} is a path of the playground itself; choose another")
    return path


def _check_origin(origin: str) -> str:
    if not ORIGIN.fullmatch(origin.rstrip("/")):
        raise ValueError("write an origin as https://example.org or https://*.example.org:8443")
    return origin.rstrip("/")


RootPath = Annotated[str, AfterValidator(_check_path)]
PageOrigin = Annotated[str, AfterValidator(_check_origin)]
