"""Votes and edits in the Compare tab, their tally, and the training rows made from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab.tally import tally
from playground.store import Feedback
from playground.store.feedback import as_jsonl
from playground.ui.compare.events import labels
from playground.ui.compare.layout import SIDES
from playground.ui.compare.updates import (
    Comparison,
    EditUpdate,
    RevealUpdate,
    SavedEditUpdate,
    ScoreUpdate,
    SideUpdate,
    Vote,
)
from playground.ui.compare.views import score_html
from playground.ui.components.downloads import download_file
from playground.ui.components.status import verdict

SIDE_VOTES: tuple[Vote, ...] = ("a", "b", "c", "d", "e", "f")
VOTES: tuple[Vote, ...] = (*SIDE_VOTES, "tie", "bad")
"""In the order of their buttons."""


@dataclass(frozen=True, slots=True)
class VoteHandlers:
    """The handlers."""

    feedback: Feedback

    def vote(self, vote: Vote, comparison: Comparison | None) -> RevealUpdate:
        """Keep the vote, which covers the conversation as it was seen, and reveal the models."""
        if comparison is None or not comparison.exchange_id:
            raise InvalidRequest("vote", "ask something first")
        both = len(comparison.order) == 2
        if vote in SIDE_VOTES:
            side = SIDE_VOTES.index(vote)
            if side >= len(comparison.order):
                raise InvalidRequest("vote", f"there is no side {vote.upper()}")
            lane = comparison.order[side]
            self.feedback.vote(comparison.exchange_id, "best", comparison.answer_ids[lane])
            word = "better" if both else "best"
            text = f"{vote.upper()} is {word}: {comparison.models[lane]}"
        else:
            self.feedback.vote(comparison.exchange_id, "tie" if vote == "tie" else "all bad")
            text = f"{'both' if both else 'all'} {'equally good' if vote == 'tie' else 'bad'}"
        shown = replace(comparison, hidden=False)
        sides = [
            SideUpdate(label=label, answer=revealed)
            for label, revealed in zip(labels(shown), comparison.revealed, strict=True)
        ]
        unused = [SideUpdate()] * (len(SIDES) - len(sides))
        return RevealUpdate((*sides, *unused), verdict(f"Saved: {text}", good=True), shown)

    def begin_edit(self, side: int, comparison: Comparison | None) -> SavedEditUpdate:
        """Open the box with the answer's text."""
        answers = comparison.answers if comparison else ()
        text = answers[comparison.order[side]].text if comparison and answers else ""
        opened = EditUpdate(gr.Textbox(text, visible=True), gr.Button(visible=True))
        return SavedEditUpdate(_at(side, opened))

    def save_edit(self, side: int, text: str, comparison: Comparison | None) -> SavedEditUpdate:
        """Keep the text as a better answer."""
        if comparison is None or not comparison.answer_ids:
            raise InvalidRequest("edit", "ask something first")
        self.feedback.edit(comparison.answer_ids[comparison.order[side]], text)
        closed = EditUpdate(gr.Textbox(visible=False), gr.Button(visible=False))
        return SavedEditUpdate(_at(side, closed), verdict("Saved: a better answer", good=True))

    def score(self, tag: str | None = "") -> ScoreUpdate:
        """Count the votes, those with a tag or all, and make training rows from all of them."""
        votes = self.feedback.votes()
        counted = tally(votes, tag or "")
        preferences, good = self.feedback.preference_rows(), self.feedback.sft_rows()
        chosen = tag if tag in counted.tags else ""
        return ScoreUpdate(
            tag=gr.Dropdown(
                [("All votes", ""), *((each, each) for each in counted.tags)], value=chosen
            ),
            score=score_html(
                counted if chosen == (tag or "") else tally(votes), self.feedback.counts()
            ),
            preferences=_download("preferences.jsonl", preferences),
            thumbs=_download("thumbs.jsonl", self.feedback.unpaired_rows()),
            good=_download("good-answers.jsonl", good),
        )


def _at(side: int, update: EditUpdate) -> tuple[EditUpdate, ...]:
    return tuple(update if index == side else EditUpdate() for index in range(len(SIDES)))


def _download(name: str, rows: Sequence[Mapping[str, object]]) -> gr.DownloadButton:
    return gr.DownloadButton(value=download_file(name, as_jsonl(rows)), interactive=bool(rows))
