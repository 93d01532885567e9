"""What the Compare tab remembers of a comparison, and what its events change: fields of updates are
named like the tab's parts."""

from dataclasses import dataclass
from typing import Literal

import gradio as gr

from playground.protocol import Message
from playground.store import NewAnswer
from playground.ui.components.binding import UNCHANGED, Unchanged

SideVote = Literal["a", "b", "c", "d", "e", "f"]
Vote = SideVote | Literal["tie", "bad"]


@dataclass(frozen=True, slots=True)
class LanesTurn:
    """A question with the answers of all lanes, by lane."""

    question: str
    answers: tuple[NewAnswer, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A conversation with several lanes, up to its last question.

    ``order`` holds, for each side, the lane that is shown there; ``turns`` are the earlier ones.
    The rest is known once all lanes have answered: ids in the store and answers by lane,
    ``revealed`` by side. ``hidden``: who answers was not shown, neither now nor before.
    """

    order: tuple[int, ...]
    models: tuple[str, ...]
    question: str = ""
    turns: tuple[LanesTurn, ...] = ()
    hidden: bool = False
    exchange_id: str = ""
    answer_ids: tuple[str, ...] = ()
    answers: tuple[NewAnswer, ...] = ()
    revealed: tuple[str, ...] = ()
    conversation: str = ""

    @property
    def done(self) -> tuple[LanesTurn, ...]:
        """All turns that every lane has answered, the last one included."""
        if not self.answers:
            return self.turns
        return (*self.turns, LanesTurn(self.question, self.answers))

    def earlier(self) -> tuple[tuple[Message, ...], ...]:
        """Each lane's own conversation before the last question."""
        return tuple(
            tuple(
                message
                for turn in self.turns
                for message in (
                    Message("user", turn.question),
                    Message("assistant", turn.answers[lane].text),
                )
            )
            for lane in range(len(self.order))
        )


@dataclass(frozen=True, slots=True)
class SideUpdate:
    """Changes of one side."""

    column: gr.Column | Unchanged = UNCHANGED
    label: str | Unchanged = UNCHANGED
    past: str | Unchanged = UNCHANGED
    text: str | Unchanged = UNCHANGED
    answer: str | Unchanged = UNCHANGED
    edit: gr.Button | Unchanged = UNCHANGED
    edited: gr.Textbox | Unchanged = UNCHANGED
    save: gr.Button | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class AnswersUpdate:
    """Changes while lanes answer."""

    asked: str | Unchanged = UNCHANGED
    sides: tuple[SideUpdate, ...] | Unchanged = UNCHANGED
    comparison: Comparison | Unchanged | None = UNCHANGED
    verdict: str | Unchanged = UNCHANGED
    vote_row: gr.Row | Unchanged = UNCHANGED
    votes: tuple[gr.Button, ...] | Unchanged = UNCHANGED
    question: gr.Textbox | Unchanged = UNCHANGED
    stop: gr.Button | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class LaneUpdate:
    """Changes of one lane's settings."""

    group: gr.Group | Unchanged = UNCHANGED
    model: str | Unchanged = UNCHANGED
    prompt: gr.Dropdown | Unchanged = UNCHANGED
    variables: gr.Textbox | Unchanged = UNCHANGED
    system: gr.Textbox | Unchanged = UNCHANGED
    temperature: float | Unchanged = UNCHANGED
    top_p: float | Unchanged = UNCHANGED
    max_tokens: int | Unchanged = UNCHANGED
    seed: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class LanesUpdate:
    """Changes of all lanes' settings."""

    lanes: tuple[LaneUpdate, ...]


@dataclass(frozen=True, slots=True)
class IdleUpdate:
    """The message box takes messages again, and nothing runs."""

    question: gr.Textbox
    stop: gr.Button


@dataclass(frozen=True, slots=True)
class RevealUpdate:
    """The sides with their models' names, and what was kept."""

    sides: tuple[SideUpdate, ...]
    verdict: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class EditUpdate:
    """The box in which one answer is edited."""

    edited: gr.Textbox | Unchanged = UNCHANGED
    save: gr.Button | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class SavedEditUpdate:
    """The edit boxes, one of them changed, and what was kept."""

    sides: tuple[EditUpdate, ...]
    verdict: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ScoreUpdate:
    """The tally of votes, and training rows made from them."""

    tag: gr.Dropdown
    score: str
    preferences: gr.DownloadButton
    thumbs: gr.DownloadButton
    good: gr.DownloadButton
