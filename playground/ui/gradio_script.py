"""One of Gradio's own scripts, served with a change: what is already told is not told again.

Gradio 6.31 tells every component that took part in any event so far how the present event goes, at
each piece of a stream, and looks each of them up in the whole tree. On a page of 700 components
that is most of what a browser does: 3.9 s of 4 for one answer (docs/log.md, "What the browser does
while an answer streams"). Knows one expression of that script; a Gradio without it is served as it
is.
"""

from pathlib import Path

import gradio
from fastapi import FastAPI, Response

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
SCRIPTS = "Blocks-*.js"
TOLD = "Object.entries(this.loading_stati.current).map("
"""The event's state by component, each of which is then told."""
TOLD_ONCE = (
    "Object.entries(this.loading_stati.current).filter(([id,now])=>{"
    "const state=JSON.stringify([now.fn_index,now.status,now.stream_state,now.message,now.progress,"
    "now.queue_position,now.type,now.validation_error]),told=this.told??={};"
    "return told[id]!==state&&(told[id]=state,!0)}).map("
)


def changed_script() -> tuple[str, str] | None:
    """Return the script's name and its changed text; None if Gradio has no such expression."""
    for file in ASSETS.glob(SCRIPTS):
        text = file.read_text(encoding="utf-8")
        if text.count(TOLD) == 1:
            return file.name, text.replace(TOLD, TOLD_ONCE)
    return None


def serve_changed_script(app: FastAPI) -> None:
    """Serve it from its own address; call this before Gradio is mounted."""
    if changed := changed_script():
        name, text = changed

        @app.get(f"/assets/{name}", include_in_schema=False)
        async def script() -> Response:
            return Response(text, media_type="text/javascript")
