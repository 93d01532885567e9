"""Whose event it is: a handler runs as whoever sent it, if they may use what it belongs to.

Gradio runs events in tasks of its own queue, so who asks is found in the request that sent them.
"""

import gradio as gr
from gradio.context import LocalContext

from playground.access import LOCAL, Area, Identity, current_identity
from playground.errors import Unauthorized

IDENTITY = "playground.identity"
"""Key of the request's scope under which the gate before the page leaves who asks."""


ASKS_NOBODY = "playground_asks_nobody"
"""Attribute of a page that may be mounted without the gate."""


def visitor_for(area: Area) -> Identity:
    """Return who sent the event that runs here.

    Raises `Forbidden`, or `Unauthorized` for a visit, if that part of the page is not open to them.
    """
    identity = visitor()
    identity.require(area)
    return identity


def is_hidden_from_visitor(area: Area) -> bool:
    """Whether the page refreshes by itself what its visitor does not see: that is no error.

    The page sends such events unqueued, what people do is queued (`components.events`).
    """
    request = LocalContext.request.get(None)
    if not isinstance(request, gr.Request) or request.request is None:
        return False
    unqueued = str(request.request.scope.get("path", "")).rstrip("/").endswith("/predict")
    return unqueued and not visitor().may_use(area)


def visitor() -> Identity:
    """Return who sent the event that runs here; outside of an event, who asks.

    Raises `Unauthorized` for an event that came past the gate.
    """
    page = LocalContext.blocks.get(None)
    if page is None:
        return current_identity()
    request = LocalContext.request.get(None)
    first = request[0] if isinstance(request, list) and request else request
    if isinstance(first, gr.Request) and first.request is not None:
        found = first.request.scope.get(IDENTITY)
        if isinstance(found, Identity):
            return found
    if getattr(page, ASKS_NOBODY, False):
        return LOCAL
    raise Unauthorized
