"""Whose event it is: a handler runs as whoever sent it, if they may use what it belongs to.

Gradio runs events in tasks of its own queue, so who asks is found in the request that sent them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.context import LocalContext
from starlette.requests import Request as HTTPRequest

from playground.access import LOCAL, Area, Identity, acting_as, current_identity
from playground.errors import Unauthorized
from playground.logs import within_request
from playground.tracing import current_span, within

IDENTITY, REQUEST, SPAN = "playground.identity", "playground.request", "playground.span"
"""Keys of the request's scope: the gate before the page leaves there who asks, the log which
request it is, and whoever traces its span."""


ASKS_NOBODY = "playground_asks_nobody"
"""Attribute of a page that may be mounted without the gate."""


def visitor_for(area: Area, room: str) -> Identity:
    """Return who sent the event that runs here.

    Raises `Forbidden`, or `Unauthorized` for a visit, if that part of the page is not open to them.
    """
    identity = visitor()
    identity.require(area, room)
    return identity


def is_hidden_from_visitor(area: Area, room: str) -> bool:
    """Whether the page refreshes by itself what its visitor does not see: that is no error.

    The page sends such events unqueued, what people do is queued (`components.events`).
    """
    request = LocalContext.request.get(None)
    if not isinstance(request, gr.Request) or request.request is None:
        return False
    unqueued = str(request.request.scope.get("path", "")).rstrip("/").endswith("/predict")
    return unqueued and not visitor().sees(area, room)


@contextmanager
def within_event(identity: Identity, room: str) -> Iterator[None]:
    """Act as this one inside, and log and trace as the request that sent the event."""
    request = _request()
    span = request.scope.get(SPAN) if request else current_span()
    with acting_as(identity, room), within_request(request_of_event()), within(span):
        yield


def request_of_event() -> str:
    """Return the id of the request that sent the event; empty outside of one."""
    request = _request()
    return str(request.scope.get(REQUEST, "")) if request else ""


def visitor() -> Identity:
    """Return who sent the event that runs here; outside of an event, who asks.

    Raises `Unauthorized` for an event that came past the gate.
    """
    page = LocalContext.blocks.get(None)
    if page is None:
        return current_identity()
    request = _request()
    found = request.scope.get(IDENTITY) if request else None
    if isinstance(found, Identity):
        return found
    if getattr(page, ASKS_NOBODY, False):
        return LOCAL
    raise Unauthorized


def _request() -> HTTPRequest | None:
    """The request that sent the event that runs here."""
    request = LocalContext.request.get(None)
    first = request[0] if isinstance(request, list) and request else request
    return first.request if isinstance(first, gr.Request) else None
