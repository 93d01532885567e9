"""Values of components that stay over a reload and a restart of the server.

They are kept in the browser tab's own storage by ``assets/keep.js``; the server never sees them
for that. What is preferred from one visit to the next is in `preferences`.
"""

import json
from collections.abc import Mapping
from typing import cast

import gradio as gr
from gradio.events import Dependency

from playground.ui.components.events import UNQUEUED


def keep(
    name: str,
    components: Mapping[str, gr.Component],
    page: gr.Blocks,
    after: Dependency | None = None,
    unless: str = "",
) -> Dependency:
    """Keep the components' values under ``name``, and restore them when the page is loaded.

    With ``after`` they are restored once that event is over. While the component named ``unless``
    is true, nothing of them is kept. Returns the event that restores.
    """
    parts = list(components.values())
    keys = json.dumps(list(components))
    call = f"window.playgroundKeeper.{{}}({json.dumps(name)}, {keys}, values, {json.dumps(unless)})"
    for part in parts:
        part.change(
            None,
            parts,
            None,
            js=f"(...values) => {{ {call.format('keep')}; return []; }}",
            **UNQUEUED,
        )
    start = after.then if after else page.load
    restored = start(None, parts, parts, js=f"(...values) => {call.format('restore')}", **UNQUEUED)
    return cast("Dependency", restored)
