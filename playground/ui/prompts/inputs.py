"""Variables of a prompt as inputs, one for each, by its type. Knows no tab."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab.prompt_content import PromptContent, Variable

MAX_FILE_BYTES = 4_000_000


def variable_inputs(variables: Sequence[Variable], prefix: str) -> list[gr.Component]:
    """Build the inputs in the current layout, holding the defaults; ``prefix`` begins their ids."""
    return [_input(variable, f"{prefix}-{variable.name}") for variable in variables]


def values_of(content: PromptContent, inputs: Sequence[object]) -> dict[str, object]:
    """Return what the inputs hold by variable; those left empty are not there, as if not given.

    Raises `InvalidRequest` for a file that is not text.
    """
    values: dict[str, object] = {}
    for variable, value in zip(content.variables, inputs, strict=True):
        if value is None or value == "":
            continue
        is_file = variable.type == "file" and isinstance(value, str)
        values[variable.name] = _file_text(variable.name, str(value)) if is_file else value
    return values


def variables_in(state: object) -> tuple[Variable, ...]:
    """Return the variables of a content that a state holds as JSON; none of an empty state."""
    return PromptContent.from_json(state).variables if isinstance(state, Mapping) and state else ()


def _input(variable: Variable, elem_id: str) -> gr.Component:
    default = variable.default
    about = {
        "label": variable.name,
        "info": variable.description or None,
        "elem_id": elem_id,
        "interactive": True,
        "key": elem_id,
    }
    match variable.type:
        case "number":
            return gr.Textbox(
                "" if default is None else str(default),
                html_attributes=gr.InputHTMLAttributes(inputmode="decimal"),
                placeholder="A number",
                max_lines=1,
                **about,
            )
        case "choice":
            return gr.Dropdown(list(variable.choices), value=default, **about)
        case "date":
            return gr.Textbox(
                "" if default is None else str(default),
                placeholder="2026-11-30",
                max_lines=1,
                **about,
            )
        case "long_text":
            return gr.Textbox(str(default or ""), lines=5, max_lines=20, **about)
        case "file":
            return gr.File(
                file_count="single", height=110, elem_classes="variable-file",
                **{name: value for name, value in about.items() if name != "info"},
            )  # fmt: skip
        case _:
            return gr.Textbox(str(default or ""), lines=1, max_lines=6, **about)


def _file_text(name: str, path: str) -> str:
    data = Path(path).read_bytes()
    if len(data) > MAX_FILE_BYTES:
        raise InvalidRequest(name, f"the file has more than {MAX_FILE_BYTES:,} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(name, "the file is not text in UTF-8") from error
