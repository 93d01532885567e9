"""Presets of sampling and system prompt in the Chat tab: a few that are ours, and a person's own,
which the browser keeps. Knows no answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import gradio as gr

from playground.errors import InvalidRequest, PlaygroundError
from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import ACTION, UNQUEUED
from playground.ui.components.markup import render
from playground.ui.components.preferences import STORAGE_SECRET, Preferences
from playground.ui.components.sampling import (
    ControlValue,
    ControlValues,
    SamplingControls,
    to_sampling,
)

STORAGE_KEY = "mistral-playground.presets"
MOST, LONGEST_NAME = 50, 60
OURS: Final[Mapping[str, ControlValues]] = MappingProxyType(
    {
        "Precise": {"temperature": 0.0, "top_p": 1.0, "min_p": 0.0, "top_k": 0},
        "Balanced": {"temperature": 0.7, "top_p": 0.95, "min_p": 0.0, "top_k": 0},
        "Creative": {"temperature": 1.0, "top_p": 1.0, "min_p": 0.05, "top_k": 0},
    }
)
"""They say nothing of the system prompt, which stays."""
CHOSEN_PRESET = "(_, ...values) => [window.playgroundPreset, ...values]"


@dataclass(frozen=True, slots=True)
class PresetParts:
    """The fold. ``use`` is clicked by the command palette; ``names`` lists what it offers."""

    preset: gr.Dropdown
    name: gr.Textbox
    save: gr.Button
    delete: gr.Button
    use: gr.Button
    names: gr.HTML
    kept: gr.BrowserState


@dataclass(frozen=True, slots=True)
class SettingsParts:
    """What a preset sets, and where the browser remembers that."""

    model: gr.Dropdown
    system: gr.Textbox
    sampling: SamplingControls
    preferences: gr.BrowserState


@dataclass(frozen=True, slots=True)
class PresetUpdate:
    """The values of a preset."""

    system: str | Unchanged
    sampling: ControlValues
    preferences: Preferences


@dataclass(frozen=True, slots=True)
class PresetsUpdate:
    """Other presets."""

    preset: gr.Dropdown
    names: str
    kept: dict[str, object] | Unchanged = UNCHANGED
    name: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class PresetHandlers:
    """The handlers."""

    def use(
        self, name: str | None, kept: object, model: str, system: str, **sampling: ControlValue
    ) -> PresetUpdate:
        """Set what a preset says; the rest stays. Raises `InvalidRequest` for an unknown one."""
        found = {**OURS, **own_presets(kept)}.get(name or "")
        if found is None:
            raise InvalidRequest("preset", f"there is none called {name!r}")
        values = dict(sampling) | {key: found[key] for key in sampling if key in found}
        to_sampling(values)
        told = found.get("system")
        own = told if isinstance(told, str) else UNCHANGED
        said = system if isinstance(own, Unchanged) else own
        return PresetUpdate(
            own, values, Preferences(model=model, system_prompt=said, sampling=values)
        )

    def save(self, name: str, kept: object, system: str, **sampling: ControlValue) -> PresetsUpdate:
        """Keep the present settings under a name. Raises `InvalidRequest`."""
        called, own = name.strip(), own_presets(kept)
        if not called or len(called) > LONGEST_NAME:
            raise InvalidRequest("preset_name", f"give one of 1 to {LONGEST_NAME} characters")
        if called in OURS:
            raise InvalidRequest("preset_name", f"{called} is built in; take another name")
        if called not in own and len(own) >= MOST:
            raise InvalidRequest("preset_name", f"there are {MOST} already; delete one first")
        to_sampling(sampling)
        own[called] = {"system": system, **sampling}
        gr.Info("The preset is saved in this browser.")
        return _listed(own, called, changed=True)

    def delete(self, name: str | None, kept: object) -> PresetsUpdate:
        """Remove one's own preset. Raises `InvalidRequest` for one that is built in."""
        own = own_presets(kept)
        if name not in own:
            raise InvalidRequest("preset", "only presets of your own can be deleted; choose one")
        del own[name]
        return _listed(own, None, changed=True)

    def list_presets(self, kept: object) -> PresetsUpdate:
        """Offer what the browser keeps."""
        return _listed(own_presets(kept), None, changed=False)


def own_presets(kept: object) -> dict[str, ControlValues]:
    """Return the presets that a browser keeps; what is damaged is left out."""
    found: dict[str, ControlValues] = {}
    for name, values in (kept if isinstance(kept, Mapping) else {}).items():
        if not isinstance(values, Mapping):
            continue
        try:
            to_sampling({key: value for key, value in values.items() if key != "system"})
        except (PlaygroundError, TypeError, ValueError):
            continue
        found[str(name)] = dict(values)
    return found


def preset_parts() -> PresetParts:
    """Build the fold in the current layout."""
    with gr.Accordion("Presets", open=False, elem_id="presets"):
        preset = gr.Dropdown(
            list(OURS),
            value=None,
            label="Use a preset",
            info="Sets sampling; one of your own sets the system prompt, too.",
            elem_id="preset",
        )
        name = gr.Textbox(
            label="Save the present settings as",
            placeholder="Name",
            max_lines=1,
            elem_id="preset-name",
        )
        with gr.Row(elem_classes="actions"):
            save = gr.Button("Save preset", size="sm", elem_id="preset-save")
            delete = gr.Button("Delete preset", size="sm", elem_id="preset-delete")
    return PresetParts(
        preset=preset,
        name=name,
        save=save,
        delete=delete,
        use=gr.Button("Use", visible="hidden", elem_id="preset-use"),
        names=gr.HTML(_names({}), visible="hidden", elem_id="preset-names", container=False),
        kept=gr.BrowserState({}, storage_key=STORAGE_KEY, secret=STORAGE_SECRET),
    )


def wire_presets(page: gr.Blocks, parts: PresetParts, set_by: SettingsParts) -> None:
    """Wire the fold."""
    handlers, sampling = PresetHandlers(), set_by.sampling.by_name()
    page.load(**bind(handlers.list_presets, parts), inputs=parts.kept, **UNQUEUED)
    used = {**bind(handlers.use, set_by), "inputs_kwargs": sampling, **ACTION}
    inputs = [parts.preset, parts.kept, set_by.model, set_by.system]
    parts.preset.input(inputs=inputs, **used)
    parts.use.click(inputs=inputs, js=CHOSEN_PRESET, **used)
    gr.on(
        [parts.save.click, parts.name.submit],
        **bind(handlers.save, parts),
        inputs=[parts.name, parts.kept, set_by.system],
        inputs_kwargs=sampling,
        **ACTION,
    )
    parts.delete.click(**bind(handlers.delete, parts), inputs=[parts.preset, parts.kept], **ACTION)


def _listed(own: dict[str, ControlValues], chosen: str | None, *, changed: bool) -> PresetsUpdate:
    return PresetsUpdate(
        gr.Dropdown([*OURS, *own], value=chosen),
        _names(own),
        dict(own) if changed else UNCHANGED,
        "" if changed else UNCHANGED,
    )


def _names(own: Mapping[str, object]) -> str:
    return render("chat/preset_names.html", names=[*OURS, *own])
