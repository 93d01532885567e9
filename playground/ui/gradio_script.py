"""One of Gradio's own scripts, served with changes: what is already told is not told again, and a
notice of an error has the title that the server gave it.

Gradio 6.31 tells every component that took part in any event so far how the present event goes, at
each piece of a stream, and looks each of them up in the whole tree. On a page of 700 components
that is most of what a browser does: 3.9 s of 4 for one answer (docs/log.md, "What the browser does
while an answer streams"). Errors it calls "Error", whatever title they came with. Knows an
expression of that script for each change; what a Gradio does not have is left as it is.
"""

from pathlib import Path
from typing import Final

import gradio
from fastapi import FastAPI, Response

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
SCRIPTS = "Blocks-*.js"
TOLD: Final = "Object.entries(this.loading_stati.current).map("
"""The event's state by component, each of which is then told."""
TOLD_ONCE: Final = (
    "Object.entries(this.loading_stati.current).filter(([id,now])=>{"
    "const state=JSON.stringify([now.fn_index,now.status,now.stream_state,now.message,now.progress,"
    "now.queue_position,now.type,now.validation_error]),told=this.told??={};"
    "return told[id]!==state&&(told[id]=state,!0)}).map("
)
TITLE: Final = "?._title??`Error`,"
"""The title of a notice: that of the event's last message, which has none if it is an error."""
OWN_TITLE: Final = "?._title??c.title??`Error`,"
STATUS: Final = "`error`,c.duration,c.visible)"
"""Says that ``c`` is the event's state where the title is chosen."""


def changed_script() -> tuple[str, str] | None:
    """Return the script's name and its changed text; None if Gradio has no such expression."""
    for file in ASSETS.glob(SCRIPTS):
        text = changed = file.read_text(encoding="utf-8")
        if text.count(TOLD) == 1:
            changed = changed.replace(TOLD, TOLD_ONCE)
        if text.count(TITLE) == text.count(STATUS) == 1:
            changed = changed.replace(TITLE, OWN_TITLE)
        if changed != text:
            return file.name, changed
    return None


def serve_changed_script(app: FastAPI) -> None:
    """Serve it from its own address; call this before Gradio is mounted."""
    if changed := changed_script():
        name, text = changed

        @app.get(f"/assets/{name}", include_in_schema=False)
        async def script() -> Response:
            return Response(text, media_type="text/javascript")
