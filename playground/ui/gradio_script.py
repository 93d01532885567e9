"""Gradio's own scripts, served with changes: what is already told is not told again, what is
looked up for each component is looked up once, no event waits on a stream that is closed, and no
page holds a connection only to say that it is open.

Gradio 6.31 tells every component that took part in any event so far how the present event goes, at
each piece of a stream, and looks each of them up in the whole tree; and as the page opens it goes
through all events for each component. On a page of 700 components and 300 events that is most of
what a browser does (docs/log.md, "What the browser does while an answer streams" and "What a
second visit waits for"). It goes on counting the time of an event whose place is gone, 60 times a
second. An event that is sent just as the server closes the stream of results is never heard of: the
server has nothing left to tell and says so, while the browser holds the stream for open. A stream
that begins at once after another may be asked for twice: each of the two takes a part of the
results, and half an answer breaks the page. Knows one expression for each change; a Gradio without
it is served as it is.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import gradio
from fastapi import FastAPI, Response

from playground.ui.presence import HERE, TOLD_EVERY_S

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"

TOLD: Final = "Object.entries(this.loading_stati.current).map("
"""The event's state by component, each of which is then told."""
TOLD_ONCE: Final = (
    "Object.entries(this.loading_stati.current).filter(([id,now])=>{"
    "const state=JSON.stringify([now.fn_index,now.status,now.stream_state,now.message,now.progress,"
    "now.queue_position,now.type,now.validation_error]),told=this.told??={};"
    "return told[id]!==state&&(told[id]=state,!0)}).map("
)
ATTACHED: Final = (
    "find_attached_events(e,t){let n=t.filter(t=>t.targets.find(([t])=>t===e.id)).map(t=>{"
    "let n=t.targets.find(([t])=>t===e.id);return n?n[1]:null}).filter(Boolean);"
)
"""The names of a component's events, ``e``, among all, ``t``."""
ATTACHED_ONCE: Final = (
    "find_attached_events(e,t){let found=this.attached;if(found?.among!==t){"
    "found=this.attached={among:t,names:new Map};for(const event of t){const names=new Map;"
    "for(const[id,name]of event.targets)names.has(id)||names.set(id,name);"
    "for(const[id,name]of names)name&&(found.names.get(id)?.push(name)??"
    "found.names.set(id,[name]))}}let n=found.names.get(e.id)??[];"
)
LOOKED_UP: Final = (
    "function Z(e,t){if(e.id===t)return e;"
    "if(e.children)for(let n of e.children){let e=Z(n,t);if(e)return e}return null}"
)
"""The component ``t`` in the tree ``e``."""
LOOKED_UP_ONCE: Final = (
    "const ways=new WeakMap;function Z(e,t){const follow=()=>{let found=e;"
    "for(const place of ways.get(e)?.get(t)??[])found=found?.children?.[place];"
    "return found?.id===t?found:null};let found=follow();if(found)return found;"
    "const known=new Map,note=(node,way)=>{known.has(node.id)||known.set(node.id,way);"
    "(node.children??[]).forEach((inner,place)=>note(inner,[...way,place]))};"
    "return note(e,[]),ways.set(e,known),follow()}"
)
"""By the places that lead there, which are noted for all at once, and again if they do not."""
TIMED: Final = "function ze(){me(()=>{F(Pe,(performance.now()-w(de))/1e3),W&&ze()})}"
"""Counts the time of an event, ``W``, 60 times a second."""
TIMED_WHILE_SEEN: Final = TIMED.replace("W&&ze", "W&&U&&ze")
"""And no longer once what shows it, ``U``, is gone: one such loop stayed as long as the page."""
CLOSED: Final = "if(s.msg===`close_stream`){wt(r,o.abort_controller);return}"
"""The server closes the stream of results; ``t`` has the events without one."""
CLOSED_IF_ALL_CAME: Final = CLOSED.replace("return", "t.size&&o.open_stream();return")
"""And a new one is opened for those that were sent meanwhile."""
STREAMED: Final = "headers:n,signal:t.signal}),this.stream_instance"
"""A stream of results is asked for; each has the same address as the last one."""
STREAMED_PAST_THE_CACHE: Final = STREAMED.replace("signal:", "cache:`no-store`,signal:")
"""And is no entry of the browser's cache: Chromium asked twice where the last one's had just been
given up, and the answer that it threw away took half of the results."""
AWAITED: Final = (
    "E in g&&(g[E].forEach(e=>t(e)),delete g[E]),v[E]=t,y.add(E),h.open||await this.open_stream()"
)
"""The event ``E`` was accepted: ``g`` has what was told of it before, ``y`` what has no result."""
AWAITED_UNLESS_IT_CAME: Final = (
    "v[E]=t,y.add(E),E in g&&(g[E].forEach(e=>{e.msg===`process_completed`&&y.delete(E),t(e)}),"
    "delete g[E]),!h.open&&y.has(E)&&await this.open_stream()"
)
"""Its result may be among what was told before: then nothing is waited for."""
HELD: Final = "this.heartbeat_event=this.stream(e,this.heartbeat_controller)"
"""Keeps a connection to ``e`` open as long as the page is."""
TOLD_OF: Final = (
    "this.heartbeat_event=(tell=>(tell(1),addEventListener('pagehide',()=>tell(0)),"
    "addEventListener('pageshow',shown=>shown.persisted&&tell(1)),"
    f"setInterval(tell,{TOLD_EVERY_S * 1000},1)))(here=>{{const word=new URL(e);"
    f"word.searchParams.set('{HERE}',here),fetch(word,{{keepalive:!0}}).catch(()=>{{}})}})"
)
"""Tells instead that the page is there, and that it is left: see `playground.ui.presence`."""
CHANGES: Final = (
    ("Blocks-*.js", TOLD, TOLD_ONCE),
    ("index-*.js", CLOSED, CLOSED_IF_ALL_CAME),
    ("index-*.js", STREAMED, STREAMED_PAST_THE_CACHE),
    ("index-*.js", AWAITED, AWAITED_UNLESS_IT_CAME),
    ("index-*.js", HELD, TOLD_OF),
    ("core-*.js", ATTACHED, ATTACHED_ONCE),
    ("core-*.js", LOOKED_UP, LOOKED_UP_ONCE),
    ("statustracker-*.js", TIMED, TIMED_WHILE_SEEN),
)
"""In which scripts, what, and what stands there instead."""


def changed_scripts() -> dict[str, str]:
    """Return the changed texts by the scripts' names."""
    changed: dict[str, str] = {}
    for scripts, before, after in CHANGES:
        for file in ASSETS.glob(scripts):
            text = changed.get(file.name) or file.read_text(encoding="utf-8")
            if text.count(before) == 1:
                changed[file.name] = text.replace(before, after)
    return changed


def serve_changed_scripts(app: FastAPI) -> None:
    """Serve them from their own addresses; call this before Gradio is mounted."""
    for name, text in changed_scripts().items():
        app.add_api_route(
            f"/assets/{name}", _script(text), methods=["GET", "HEAD"], include_in_schema=False
        )


def _script(text: str) -> Callable[[], Awaitable[Response]]:
    async def script() -> Response:
        return Response(text, media_type="text/javascript")

    return script
