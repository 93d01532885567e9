"""The components of the Compare tab, without their events. Two to six lanes, one question."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import gradio as gr

from playground.lab import MAX_LANES, MIN_LANES
from playground.protocol import ModelInfo
from playground.ui.components.code_panel import CodeParts
from playground.ui.components.sampling import label as label_of
from playground.ui.components.shown_text import LATEX

SIDES = ("A", "B", "C", "D", "E", "F")[:MAX_LANES]
ASK = "Ask all lanes"
NO_PROMPT = ""


@dataclass(frozen=True, slots=True)
class LaneParts:
    """One lane's settings."""

    group: gr.Group
    model: gr.Dropdown
    prompt: gr.Dropdown
    variables: gr.Textbox
    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Number
    seed: gr.Textbox
    view_code: gr.Button


LANE_SETTINGS = tuple(
    field.name for field in fields(LaneParts) if field.name not in ("group", "view_code")
)


@dataclass(frozen=True, slots=True)
class SideParts:
    """Where an answer is shown and edited."""

    column: gr.Column
    label: gr.HTML
    past: gr.Markdown
    text: gr.Markdown
    answer: gr.HTML
    edit: gr.Button
    edited: gr.Textbox
    save: gr.Button


@dataclass(frozen=True, slots=True)
class CompareParts:
    """The components that events read and write. ``comparison`` holds the conversation."""

    count: gr.Radio
    lanes: tuple[LaneParts, ...]
    blind: gr.Checkbox
    tags: gr.Textbox
    asked: gr.HTML
    sides: tuple[SideParts, ...]
    vote_row: gr.Row
    votes: tuple[gr.Button, ...]
    verdict: gr.HTML
    question: gr.Textbox
    stop: gr.Button
    comparison: gr.State
    new: gr.Button
    tag: gr.Dropdown
    score: gr.HTML
    preferences: gr.DownloadButton
    thumbs: gr.DownloadButton
    good: gr.DownloadButton
    code: CodeParts


def input_name(lane: int, setting: str) -> str:
    """Return the name under which handlers get a lane's setting."""
    return f"lane_{lane + 1}_{setting}"


def lane_inputs(lanes: Sequence[LaneParts]) -> dict[str, gr.Component]:
    """Return all lanes' inputs by name, for ``inputs_kwargs``."""
    return {
        input_name(index, setting): getattr(lane, setting)
        for index, lane in enumerate(lanes)
        for setting in LANE_SETTINGS
    }


def compare_parts(models: Sequence[ModelInfo], code: CodeParts) -> CompareParts:
    """Build the components in the current layout."""
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            count = gr.Radio(
                list(range(MIN_LANES, MAX_LANES + 1)),
                value=MIN_LANES,
                label="Lanes",
                info="Changing this starts a new comparison.",
                elem_id="cmp-count",
            )
            lanes = tuple(_lane(number, models) for number in range(1, MAX_LANES + 1))
            blind = gr.Checkbox(
                False,
                label="Blind",
                info="Sides are shuffled; models are revealed after you vote.",
                elem_id="cmp-blind",
            )
            tags = gr.Textbox(
                label="Tags",
                info="Saved with your votes, to tally them by tag.",
                placeholder="code, French",
                max_lines=1,
                elem_id="cmp-tags",
            )
            with gr.Accordion("Votes so far", open=False, elem_id="cmp-votes"):
                tag = gr.Dropdown(
                    [("All votes", "")], value="", label="Votes with the tag", elem_id="cmp-tag"
                )
                score = gr.HTML(elem_id="cmp-score", container=False)
                with gr.Row(elem_classes="actions"):
                    preferences = gr.DownloadButton(
                        "Preferences (JSONL)", size="sm", elem_id="cmp-preferences"
                    )
                    good = gr.DownloadButton("Good answers (JSONL)", size="sm", elem_id="cmp-good")
                    thumbs = gr.DownloadButton("Thumbs (JSONL)", size="sm", elem_id="cmp-thumbs")
        with gr.Column(elem_classes="work scrolling compare"):
            with gr.Row(elem_classes="work-head"):
                new = gr.Button("New comparison", size="sm", elem_id="cmp-new")
            asked = gr.HTML(elem_id="cmp-asked", container=False)
            with gr.Row(elem_classes="sides"):
                sides = tuple(_side(name) for name in SIDES)
            vote_row, votes = _votes()
            verdict = gr.HTML(elem_classes="verdict", elem_id="cmp-verdict", container=False)
            with gr.Row(elem_classes="ask-both"):
                question = gr.Textbox(
                    label="Message",
                    show_label=False,
                    container=False,
                    placeholder=ASK,
                    lines=1,
                    max_lines=8,
                    submit_btn=True,
                    elem_id="cmp-question",
                    elem_classes="composer",
                )
                stop = gr.Button("Stop", visible=False, elem_id="cmp-stop")
    return CompareParts(
        count=count,
        lanes=lanes,
        blind=blind,
        tags=tags,
        asked=asked,
        sides=sides,
        vote_row=vote_row,
        votes=votes,
        verdict=verdict,
        question=question,
        stop=stop,
        comparison=gr.State(None),
        new=new,
        tag=tag,
        score=score,
        preferences=preferences,
        thumbs=thumbs,
        good=good,
        code=code,
    )


def _lane(number: int, models: Sequence[ModelInfo]) -> LaneParts:
    names = [info.name for info in models]
    with gr.Group(elem_classes="lane", visible=number <= MIN_LANES) as group:
        model = gr.Dropdown(
            names,
            value=names[min(number, len(names)) - 1],
            label=f"Lane {number}",
            elem_id=f"cmp-model-{number}",
        )
        with gr.Accordion("Prompt and settings", open=False):
            prompt = gr.Dropdown(
                [("None", NO_PROMPT)],
                value=NO_PROMPT,
                label="Stored prompt",
                allow_custom_value=True,  # what the browser kept comes before the choices
                elem_id=f"cmp-prompt-{number}",
            )
            variables = gr.Textbox(
                label="Prompt variables",
                info="One per line, as name: value. The question fills in “input”.",
                lines=2,
                max_lines=8,
                visible=False,
                elem_id=f"cmp-variables-{number}",
            )
            system = gr.Textbox(
                label="System prompt", lines=2, max_lines=8, elem_id=f"cmp-system-{number}"
            )
            temperature = _slider("temperature", 2, 0, 0.05, number)
            top_p = _slider("top_p", 1, 1, 0.01, number)
            with gr.Row(elem_classes="pair"):
                max_tokens = gr.Number(
                    256,
                    precision=0,
                    minimum=1,
                    label="Max tokens",
                    min_width=80,
                    elem_id=f"cmp-max-tokens-{number}",
                )
                # An empty Number becomes 0 as soon as it is seen (Gradio 6.31).
                seed = gr.Textbox(
                    label="Seed",
                    placeholder="Random",
                    min_width=80,
                    max_lines=1,
                    elem_id=f"cmp-seed-{number}",
                )
            view_code = gr.Button("View code", size="sm", elem_id=f"cmp-code-{number}")
    return LaneParts(
        group=group,
        model=model,
        prompt=prompt,
        variables=variables,
        system=system,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
        view_code=view_code,
    )


def _slider(name: str, most: float, value: float, step: float, lane: int) -> gr.Slider:
    elem_id = f"cmp-{name.replace('_', '-')}-{lane}"
    return gr.Slider(0, most, value, step=step, label=label_of(name), buttons=[], elem_id=elem_id)


def _votes() -> tuple[gr.Row, tuple[gr.Button, ...]]:
    """A button for each side, then for none of them."""
    with gr.Row(visible=False, elem_classes="vote", elem_id="cmp-vote") as row:
        sides = tuple(
            gr.Button(
                f"{side} is better", visible=number < MIN_LANES, elem_id=f"cmp-vote-{side.lower()}"
            )
            for number, side in enumerate(SIDES)
        )
        tie = gr.Button("Equally good", elem_id="cmp-vote-tie")
        bad = gr.Button("All are bad", elem_id="cmp-vote-bad")
    return row, (*sides, tie, bad)


def _markdown(elem_id: str) -> gr.Markdown:
    return gr.Markdown(
        elem_id=elem_id,
        elem_classes="answer-markdown",
        container=False,
        latex_delimiters=list(LATEX),
        line_breaks=True,
        sanitize_html=True,
    )


def _side(name: str) -> SideParts:
    seen = SIDES.index(name) < MIN_LANES
    with gr.Column(elem_classes="side", min_width=280, visible=seen) as column:
        label = gr.HTML(f"<h3>{name}</h3>", elem_id=f"cmp-label-{name.lower()}", container=False)
        past = _markdown(f"cmp-past-{name.lower()}")
        text = _markdown(f"cmp-text-{name.lower()}")
        answer = gr.HTML(elem_id=f"cmp-answer-{name.lower()}", container=False)
        edit = gr.Button(
            "Edit this answer", size="sm", visible=False, elem_id=f"cmp-edit-{name.lower()}"
        )
        edited = gr.Textbox(
            label="A better answer",
            visible=False,
            lines=3,
            max_lines=12,
            elem_id=f"cmp-edited-{name.lower()}",
        )
        save = gr.Button("Save", size="sm", visible=False, elem_id=f"cmp-save-{name.lower()}")
    return SideParts(column, label, past, text, answer, edit, edited, save)
