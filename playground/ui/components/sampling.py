"""The sampling controls: one component for each parameter, made from the metadata of `Sampling`.

Ranges and explanations are the protocol's, so the page cannot promise what a request refuses.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import gradio as gr

from playground.errors import InvalidRequest
from playground.protocol import Sampling

ControlValue = str | float | None
"""What a control holds."""
ControlValues = Mapping[str, ControlValue]
"""Values of the controls by parameter."""

_STOP_ESCAPES: Final = MappingProxyType({r"\n": "\n", r"\t": "\t", r"\\": "\\"})


@dataclass(frozen=True, slots=True)
class SamplingControls:
    """One component a parameter, under the parameter's own name."""

    temperature: gr.Slider
    max_tokens: gr.Number
    seed: gr.Number
    top_p: gr.Slider
    min_p: gr.Slider
    top_k: gr.Number
    repetition_penalty: gr.Number
    presence_penalty: gr.Slider
    frequency_penalty: gr.Slider
    stop: gr.Textbox

    def by_name(self) -> dict[str, gr.Component]:
        """Return the components by parameter, for ``inputs_kwargs``."""
        return {name: getattr(self, name) for name in SAMPLING_NAMES}


SAMPLING_NAMES: Final = tuple(field.name for field in dataclasses.fields(SamplingControls))


def sampling_controls(defaults: Sampling) -> SamplingControls:
    """Build the controls in the current layout, set to ``defaults`` and disabled: a change before
    the browser's stored values are restored would be lost.
    """
    values = control_values(defaults)
    temperature = _slider("temperature", values, step=0.05)
    with gr.Row(elem_classes="pair"):
        max_tokens = _number("max_tokens", values, placeholder="No limit")
        seed = _number("seed", values, placeholder="Random")
    with gr.Accordion("More sampling controls", open=False, elem_id="more-sampling"):
        top_p = _slider("top_p", values, step=0.01)
        min_p = _slider("min_p", values, step=0.01)
        with gr.Row(elem_classes="pair"):
            top_k = _number("top_k", values)
            repetition_penalty = _number("repetition_penalty", values, step=0.05, precision=None)
        presence_penalty = _slider("presence_penalty", values, step=0.1)
        frequency_penalty = _slider("frequency_penalty", values, step=0.1)
        stop = gr.Textbox(
            values["stop"],
            label="Stop strings",
            info=f"{_help('stop')} One per line; \\n stands for a line break.",
            lines=2,
            max_lines=6,
            interactive=False,
            elem_id="stop",
        )
    return SamplingControls(
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        top_p=top_p,
        min_p=min_p,
        top_k=top_k,
        repetition_penalty=repetition_penalty,
        presence_penalty=presence_penalty,
        frequency_penalty=frequency_penalty,
        stop=stop,
    )


def to_sampling(values: Mapping[str, object]) -> Sampling:
    """Return the parameters that the controls hold. Raises `InvalidRequest` naming the field."""
    given = dict(values)
    given["stop"] = tuple(
        _unescaped(line) for line in str(given.get("stop") or "").splitlines() if line
    )
    for field in dataclasses.fields(Sampling):
        value = given.get(field.name, field.default)
        if value is None and field.default is not None and field.name in given:
            raise InvalidRequest(field.name, "is empty; give a number")
        if field.type in (float, "float") and isinstance(value, int):
            given[field.name] = float(value)
    return Sampling(**given)  # type: ignore[arg-type]  # it validates its fields itself


def control_values(sampling: Sampling) -> dict[str, ControlValue]:
    """Return what the controls show for these parameters."""
    values = {name: getattr(sampling, name) for name in SAMPLING_NAMES}
    values["stop"] = "\n".join(_escaped(text) for text in sampling.stop)
    return values


def label(name: str) -> str:
    """Return a parameter's name as the page writes it."""
    words = {"top_p": "Top-p", "min_p": "Min-p", "top_k": "Top-k", "max_tokens": "Max tokens"}
    return words.get(name, name.replace("_", " ").capitalize())


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace("\t", r"\t")


def _unescaped(line: str) -> str:
    return re.sub(r"\\[nt\\]", lambda match: _STOP_ESCAPES[match.group()], line)


def _metadata(name: str) -> Mapping[str, object]:
    return next(f.metadata for f in dataclasses.fields(Sampling) if f.name == name)


def _help(name: str) -> str:
    return str(_metadata(name)["help"])


def _slider(name: str, values: ControlValues, step: float) -> gr.Slider:
    span = _metadata(name)
    return gr.Slider(
        span["minimum"],
        span["maximum"],
        values[name],
        step=step,
        label=label(name),
        info=span["help"],
        buttons=[],
        interactive=False,
        elem_id=name.replace("_", "-"),
    )


def _number(
    name: str,
    values: ControlValues,
    *,
    step: float = 1,
    precision: int | None = 0,
    placeholder: str | None = None,
) -> gr.Number:
    span = _metadata(name)
    return gr.Number(
        values[name],
        label=label(name),
        info=span["help"],
        step=step,
        precision=precision,
        placeholder=placeholder,
        min_width=80,
        interactive=False,
        elem_id=name.replace("_", "-"),
    )
