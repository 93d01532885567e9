"""The settings of Compare's lanes: how many there are, the stored prompt of each, and the lane that
they make. Knows no answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr
import yaml

from playground.errors import InvalidRequest, UnknownPrompt
from playground.lab import MAX_LANES, MIN_LANES, Lane
from playground.lab.compare import INPUT
from playground.lab.prompt_content import sampling_of
from playground.lab.prompts import Prompts, PromptVersion
from playground.ui.compare.layout import LANE_SETTINGS, NO_PROMPT, input_name
from playground.ui.compare.updates import LanesUpdate, LaneUpdate
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED

LaneSetting = str | float | None
LaneSettings = Mapping[str, LaneSetting]


@dataclass(frozen=True, slots=True)
class LaneHandlers:
    """The handlers, and the reading of settings."""

    answering: Answering
    prompts: Prompts | None = None

    async def lane(self, number: int, settings: LaneSettings) -> Lane:
        """Return the lane that the inputs of this number describe. Raises `InvalidRequest`,
        `UnknownModel` and `UnknownPrompt`."""
        values = {name: settings[input_name(number, name)] for name in LANE_SETTINGS}
        prompt = self._version(str(values["prompt"] or NO_PROMPT))
        chosen: dict[str, object] = {
            "temperature": float(values["temperature"] or 0),
            "top_p": float(values["top_p"] if values["top_p"] is not None else 1),
            "max_tokens": int(values["max_tokens"]) if values["max_tokens"] else None,
            "seed": _seed(values["seed"], number),
        }
        own = dict(prompt.content.sampling) if prompt else {}
        try:
            sampling = sampling_of(own | chosen)
        except InvalidRequest as error:
            raise InvalidRequest(_place(error.field, number), error.problem) from error
        return await self.answering.lane(
            str(values["model"]),
            str(values["system"] or "") if prompt is None else "",
            sampling,
            prompt,
            _variables(str(values["variables"] or ""), number) if prompt else {},
        )

    def show_lanes(self, count: int) -> LanesUpdate:
        """Show the settings of so many lanes."""
        return LanesUpdate(
            tuple(
                LaneUpdate(group=gr.Group(visible=number < lanes_of(count)))
                for number in range(MAX_LANES)
            )
        )

    def list_prompts(self) -> LanesUpdate:
        """Offer the prompts that are stored now."""
        choices = [("None", NO_PROMPT)]
        for prompt in self.prompts.all() if self.prompts else ():
            for version in reversed(prompt.versions):
                said = " · ".join([f"{prompt.name} v{version.number}", *version.labels])
                choices.append((said, f"{prompt.name}@{version.number}"))
        return LanesUpdate((LaneUpdate(prompt=gr.Dropdown(choices)),) * MAX_LANES)

    async def choose_prompt(self, number: int, reference: str) -> LanesUpdate:
        """Show the variables of a stored prompt in place of the system prompt, and its model and
        settings, as far as it has any."""
        prompt = self._version(reference)
        if prompt is None:
            return _at(number, _prompt_inputs(None))
        content = prompt.content
        served = await self.answering.model_names()
        set_now = content.sampling
        asked = [each for each in content.variables if each.name != INPUT]
        text = "\n".join(
            f"{each.name}: {'' if each.default is None else each.default}" for each in asked
        )
        shown = _prompt_inputs(prompt)
        return _at(
            number,
            LaneUpdate(
                variables=gr.Textbox(text, visible=bool(asked)),
                system=shown.system,
                model=content.model if content.model in served else UNCHANGED,
                temperature=set_now.get("temperature", UNCHANGED),
                top_p=set_now.get("top_p", UNCHANGED),
                max_tokens=set_now.get("max_tokens") or UNCHANGED,
                seed=str(set_now["seed"]) if set_now.get("seed") is not None else UNCHANGED,
            ),
        )

    def show_prompts(self, *references: str | None) -> LanesUpdate:
        """Show which inputs each lane has, once the browser's values are restored."""
        updates = []
        for reference in references:
            try:
                updates.append(_prompt_inputs(self._version(reference or NO_PROMPT)))
            except UnknownPrompt:  # deleted since
                updates.append(LaneUpdate(prompt=gr.Dropdown(value=NO_PROMPT)))
        return LanesUpdate(tuple(updates))

    def _version(self, reference: str) -> PromptVersion | None:
        if reference == NO_PROMPT or self.prompts is None:
            return None
        name, _, version = reference.partition("@")
        return self.prompts.version(name, version or None)


def lanes_of(count: object) -> int:
    """Return the number of lanes that the page's control says."""
    try:
        number = int(str(count))
    except ValueError:
        number = MIN_LANES
    return min(max(number, MIN_LANES), MAX_LANES)


def _prompt_inputs(prompt: PromptVersion | None) -> LaneUpdate:
    if prompt is None:
        return LaneUpdate(variables=gr.Textbox(visible=False), system=gr.Textbox(visible=True))
    asked = any(each.name != INPUT for each in prompt.content.variables)
    return LaneUpdate(variables=gr.Textbox(visible=asked), system=gr.Textbox(visible=False))


def _at(number: int, update: LaneUpdate) -> LanesUpdate:
    return LanesUpdate(
        tuple(update if each == number else LaneUpdate() for each in range(MAX_LANES))
    )


def _variables(text: str, number: int) -> Mapping[str, object]:
    """Return the values; what is left empty has none. Raises `InvalidRequest` naming the line."""
    place = _place("variables", number)
    try:
        values = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "they"
        raise InvalidRequest(place, f"{where} cannot be read; write name: value") from error
    if not isinstance(values, dict):
        raise InvalidRequest(place, "write one per line, as name: value")
    return {
        str(name): value if isinstance(value, int | float) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _place(setting: str, number: int) -> str:
    """Name the input as the page does."""
    return f"{setting}_{number + 1}"


def _seed(text: LaneSetting, number: int) -> int | None:
    """Return the seed; None, which draws one, for an empty box."""
    written = str(text if text is not None else "").strip()
    if not written:
        return None
    try:
        return int(written)
    except ValueError as error:
        raise InvalidRequest(_place("seed", number), f"{written!r} is no whole number") from error
