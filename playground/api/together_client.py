"""Knows Together's clients, whose lists and batches have shapes of their own, by their requests."""

from typing import Final

from starlette.requests import Request

USER_AGENTS: Final = ("together/", "asynctogether/")
"""How the ``User-Agent`` of Together's clients for Python and JavaScript begins, in lower case."""

VERSION_1: Final = "together/v1 pythonbindings"
"""How that of the Python client's version 1 begins."""


def is_together(http: Request) -> bool:
    """Whether one of Together's clients sent the request."""
    return http.headers.get("user-agent", "").lower().startswith(USER_AGENTS)


def is_together_1(http: Request) -> bool:
    """Whether version 1 of Together's client for Python sent the request."""
    return http.headers.get("user-agent", "").lower().startswith(VERSION_1)
