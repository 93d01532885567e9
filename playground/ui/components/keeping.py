"""Values of components that stay over a reload and a restart of the server.

They are kept in the browser tab's own storage by ``assets/keep.js``; the server never sees them
for that. What is preferred from one visit to the next is in `preferences`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

import gradio as gr
from gradio.events import Dependency

from playground.ui.components.events import UNQUEUED

BATCH: Final = 8
"""How many components are read when one of them changes. Gradio 6.31 searches the page for each,
and all events for each component of the page: neither one by one nor all at once."""


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
    call = f"window.playgroundKeeper.{{}}({json.dumps(name)}, {{}}, values, {json.dumps(unless)})"
    names = list(components)
    for some in batched([each for each in names if each != unless], BATCH):
        keys = [*some, unless] if unless else list(some)
        gr.on(
            [components[key].change for key in keys],
            None,
            [components[key] for key in keys],
            None,
            js=f"(...values) => {{ {call.format('keep', json.dumps(keys))}; return []; }}",
            **UNQUEUED,
        )
    start = after.then if after else page.load
    restored = start(
        None,
        list(components.values()),
        list(components.values()),
        js=f"(...values) => {call.format('restore', json.dumps(names))}",
        **UNQUEUED,
    )
    return cast("Dependency", restored)


def batched(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Split names into parts of at most ``size``."""
    return (names[start : start + size] for start in range(0, len(names), size))
