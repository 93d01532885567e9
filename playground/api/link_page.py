"""The page of a demo that opens nothing: it says why, and has no script."""

from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

from playground.api.errors import translate
from playground.errors import LinkClosed, ModelLoading, PlaygroundError, UnknownModel

LOADED_AGAIN_AFTER_S = 5


def closed_page(error: PlaygroundError, policy: str) -> HTMLResponse:
    """Return the page; it may be shown wherever the demo itself may, by its ``policy``. While the
    model loads the browser asks again."""
    translated = translate(error)
    headers = {"content-security-policy": policy, "cache-control": "no-store", **translated.headers}
    problem, advice = error.message, "Ask whoever runs this demo."
    if isinstance(error, LinkClosed):
        advice = "Ask whoever sent it to you for a new one."
    elif isinstance(error, UnknownModel):
        problem = f"the model of this demo, {error.name}, is not served here now"
    elif isinstance(error, ModelLoading):
        headers["refresh"] = str(LOADED_AGAIN_AFTER_S)
        problem = "the model of this demo is still loading"
        advice = "This page opens by itself as soon as it is there."
    environment = Environment(loader=PackageLoader("playground.api"), autoescape=True)
    text = environment.get_template("link_closed.html").render(problem=problem, advice=advice)
    return HTMLResponse(text, translated.status, headers)
