"""What a browser remembers between visits: model, system prompt and sampling.

Kept in the browser's own storage, not on the server. The theme is kept there too, by page.js.
"""

from typing import TypedDict

import gradio as gr

from playground.errors import PlaygroundError
from playground.protocol import ModelInfo
from playground.ui.components.sampling import ControlValues, control_values, to_sampling

STORAGE_KEY = "mistral-playground.preferences"
# Gradio encrypts what it stores. The key only has to stay the same from one start to the next:
# it guards no secret, and a random one would forget everyone's preferences at every restart.
STORAGE_SECRET = "mistral-playground"


class Preferences(TypedDict):
    """What is stored."""

    model: str
    system_prompt: str
    sampling: ControlValues


def preferences_store() -> gr.BrowserState:
    """Build the hidden component that holds them; it is empty on a first visit."""
    return gr.BrowserState({}, storage_key=STORAGE_KEY, secret=STORAGE_SECRET)


def stored_sampling(stored: object, model: ModelInfo) -> ControlValues:
    """Return the controls' values as stored for this model, or the model's defaults where they are
    missing, of another model, or no longer valid.
    """
    values = control_values(model.defaults)
    if not isinstance(stored, dict) or stored.get("model") != model.name:
        return values
    sampling = stored.get("sampling")
    if not isinstance(sampling, dict):
        return values
    merged = values | {name: value for name, value in sampling.items() if name in values}
    try:
        to_sampling(merged)
    except (PlaygroundError, TypeError, ValueError):
        return values
    return merged


def stored_text(stored: object, name: str) -> str:
    """Return a stored text, empty if there is none."""
    value = stored.get(name) if isinstance(stored, dict) else None
    return value if isinstance(value, str) else ""
