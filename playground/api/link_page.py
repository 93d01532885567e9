"""The page of a link that opens nothing: it says why, and has no script."""

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

from playground.api.errors import translate
from playground.errors import LinkClosed


def closed_link(error: LinkClosed, policy: str) -> HTMLResponse:
    """Return the page; it may be shown wherever the demo itself may, by its ``policy``."""
    environment = Environment(loader=PackageLoader("playground.api"), autoescape=True)
    text = environment.get_template("link_closed.html").render(problem=error.message)
    headers = {"content-security-policy": policy, "cache-control": "no-store"}
    return HTMLResponse(text, translate(error).status, headers)
