"""The components of the Compare tab, without their events. Two lanes, one question."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import gradio as gr

from playground.protocol import ModelInfo
from playground.ui.components.code_panel import CodeParts, code_panel
from playground.ui.components.shown_text import LATEX

LANES = 2
SIDES = ("A", "B")
ASK = "Ask both models"


@dataclass(frozen=True, slots=True)
class LaneParts:
    """One lane's settings."""

    model: gr.Dropdown
    system: gr.Textbox
    temperature: gr.Slider
    max_tokens: gr.Number
    seed: gr.Textbox
    view_code: gr.Button


LANE_SETTINGS = tuple(field.name for field in fields(LaneParts) if field.name != "view_code")


@dataclass(frozen=True, slots=True)
class SideParts:
    """Where an answer is shown and edited."""

    label: gr.HTML
    text: gr.Markdown
    answer: gr.HTML
    edit: gr.Button
    edited: gr.Textbox
    save: gr.Button


@dataclass(frozen=True, slots=True)
class CompareParts:
    """The components that events read and write. ``comparison`` holds the last question."""

    lanes: tuple[LaneParts, ...]
    blind: gr.Checkbox
    asked: gr.HTML
    sides: tuple[SideParts, ...]
    vote_row: gr.Row
    votes: tuple[gr.Button, ...]
    verdict: gr.HTML
    question: gr.Textbox
    stop: gr.Button
    comparison: gr.State
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


def compare_parts(models: Sequence[ModelInfo]) -> CompareParts:
    """Build the components in the current layout."""
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            lanes = tuple(_lane(number, models) for number in range(1, LANES + 1))
            blind = gr.Checkbox(
                False,
                label="Blind",
                info="Sides are shuffled; models are revealed after you vote.",
                elem_id="cmp-blind",
            )
            with gr.Accordion("Votes so far", open=False, elem_id="cmp-votes"):
                score = gr.HTML(elem_id="cmp-score", container=False)
                with gr.Row(elem_classes="actions"):
                    preferences = gr.DownloadButton(
                        "Preferences (JSONL)", size="sm", elem_id="cmp-preferences"
                    )
                    good = gr.DownloadButton("Good answers (JSONL)", size="sm", elem_id="cmp-good")
                    thumbs = gr.DownloadButton("Thumbs (JSONL)", size="sm", elem_id="cmp-thumbs")
        with gr.Column(elem_classes="work scrolling compare"):
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
        lanes=lanes,
        blind=blind,
        asked=asked,
        sides=sides,
        vote_row=vote_row,
        votes=votes,
        verdict=verdict,
        question=question,
        stop=stop,
        comparison=gr.State(None),
        score=score,
        preferences=preferences,
        thumbs=thumbs,
        good=good,
        code=code_panel("cmp"),
    )


def _lane(number: int, models: Sequence[ModelInfo]) -> LaneParts:
    names = [info.name for info in models]
    with gr.Group(elem_classes="lane"):
        model = gr.Dropdown(
            names,
            value=names[min(number, len(names)) - 1],
            label=f"Lane {number}",
            elem_id=f"cmp-model-{number}",
        )
        with gr.Accordion("Prompt and settings", open=False):
            system = gr.Textbox(
                label="System prompt", lines=2, max_lines=8, elem_id=f"cmp-system-{number}"
            )
            temperature = gr.Slider(0, 2, 0, step=0.05, label="Temperature", buttons=[])
            with gr.Row(elem_classes="pair"):
                max_tokens = gr.Number(
                    256, precision=0, minimum=1, label="Max tokens", min_width=80
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
    return LaneParts(model, system, temperature, max_tokens, seed, view_code)


def _votes() -> tuple[gr.Row, tuple[gr.Button, ...]]:
    with gr.Row(visible=False, elem_classes="vote", elem_id="cmp-vote") as row:
        buttons = tuple(
            gr.Button(text, elem_id=f"cmp-vote-{vote}")
            for vote, text in (
                ("a", "A is better"),
                ("tie", "Equally good"),
                ("bad", "Both are bad"),
                ("b", "B is better"),
            )
        )
    return row, buttons


def _side(name: str) -> SideParts:
    with gr.Column(elem_classes="side", min_width=280):
        label = gr.HTML(f"<h3>{name}</h3>", elem_id=f"cmp-label-{name.lower()}", container=False)
        text = gr.Markdown(
            elem_id=f"cmp-text-{name.lower()}",
            elem_classes="answer-markdown",
            container=False,
            latex_delimiters=list(LATEX),
            line_breaks=True,
            sanitize_html=True,
        )
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
    return SideParts(label, text, answer, edit, edited, save)
