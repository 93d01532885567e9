"""What the Compare tab consists of: its components, unwired. Two lanes, one question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.protocol import ModelInfo

LANES = 2
SIDES = ("A", "B")


@dataclass(frozen=True, slots=True)
class LaneParts:
    """One lane's settings."""

    model: gr.Dropdown
    system: gr.Textbox
    temperature: gr.Slider
    max_tokens: gr.Number
    seed: gr.Number

    def inputs(self) -> list[Any]:
        """In the order of the handler's arguments."""
        return [self.model, self.system, self.temperature, self.max_tokens, self.seed]


@dataclass(frozen=True, slots=True)
class SideParts:
    """Where an answer is shown, and mended."""

    label: gr.HTML
    answer: gr.HTML
    edit: gr.Button
    edited: gr.Textbox
    save: gr.Button


@dataclass(frozen=True, slots=True)
class CompareParts:
    """Everything. ``asked`` holds what was asked last: the exchange, and which lane is where."""

    lanes: tuple[LaneParts, ...]
    blind: gr.Checkbox
    sides: tuple[SideParts, ...]
    vote_row: gr.Row
    votes: tuple[gr.Button, ...]
    verdict: gr.HTML
    question: gr.Textbox
    stop: gr.Button
    asked: gr.State
    score: gr.HTML
    preferences: gr.DownloadButton
    good: gr.DownloadButton


def compare_parts(models: Sequence[ModelInfo]) -> CompareParts:
    """Build the components where this is called."""
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            lanes = tuple(_lane(number, models) for number in range(1, LANES + 1))
            blind = gr.Checkbox(
                False,
                label="Blind",
                info="Which lane answers at which side is drawn, and told after the vote.",
                elem_id="cmp-blind",
            )
            with gr.Accordion("Votes so far", open=False, elem_id="cmp-votes"):
                score = gr.HTML(elem_id="cmp-score", container=False)
                with gr.Row(elem_classes="actions"):
                    preferences = gr.DownloadButton(
                        "Preferences (JSONL)", size="sm", elem_id="cmp-preferences"
                    )
                    good = gr.DownloadButton("Good answers (JSONL)", size="sm", elem_id="cmp-good")
        with gr.Column(elem_classes="work scrolling compare"):
            with gr.Row(elem_classes="sides"):
                sides = tuple(_side(name) for name in SIDES)
            with gr.Row(visible=False, elem_classes="vote", elem_id="cmp-vote") as vote_row:
                votes = tuple(
                    gr.Button(text, elem_id=f"cmp-vote-{key}")
                    for key, text in (
                        ("a", "A is better"),
                        ("tie", "Equally good"),
                        ("bad", "Both are bad"),
                        ("b", "B is better"),
                    )
                )
            verdict = gr.HTML(elem_classes="verdict", elem_id="cmp-verdict", container=False)
            with gr.Row(elem_classes="ask-both"):
                question = gr.Textbox(
                    label="Message",
                    show_label=False,
                    container=False,
                    placeholder="Ask both",
                    lines=1,
                    max_lines=8,
                    submit_btn=True,
                    elem_id="cmp-question",
                    elem_classes="composer",
                )
                stop = gr.Button("Stop", visible=False, elem_id="cmp-stop")
    return CompareParts(
        lanes, blind, sides, vote_row, votes, verdict, question, stop, gr.State({}), score,
        preferences, good,
    )  # fmt: skip


def _lane(number: int, models: Sequence[ModelInfo]) -> LaneParts:
    names = [each.name for each in models]
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
                seed = gr.Number(
                    None, precision=0, label="Seed", placeholder="Random", min_width=80
                )
    return LaneParts(model, system, temperature, max_tokens, seed)


def _side(name: str) -> SideParts:
    with gr.Column(elem_classes="side", min_width=280):
        label = gr.HTML(f"<h3>{name}</h3>", elem_id=f"cmp-label-{name.lower()}", container=False)
        answer = gr.HTML(elem_id=f"cmp-answer-{name.lower()}", container=False)
        edit = gr.Button(
            "Mend this answer", size="sm", visible=False, elem_id=f"cmp-edit-{name.lower()}"
        )
        edited = gr.Textbox(
            label="What it should have been",
            visible=False,
            lines=3,
            max_lines=12,
            elem_id=f"cmp-edited-{name.lower()}",
        )
        save = gr.Button("Keep", size="sm", visible=False, elem_id=f"cmp-save-{name.lower()}")
    return SideParts(label, answer, edit, edited, save)
