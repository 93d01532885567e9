"""What happens in the Compare tab: each event is a method from values to named updates."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab import Lane, LaneEvent, blind_order
from playground.protocol import Answer, Message, Request, Sampling
from playground.store import Feedback, NewAnswer
from playground.store.feedback import as_jsonl
from playground.ui.compare.layout import ASK, LANE_SETTINGS, LANES, SIDES, input_name
from playground.ui.compare.views import (
    answer_html,
    answer_text,
    label_html,
    question_html,
    score_html,
)
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.code_panel import CodeUpdate, code_update
from playground.ui.components.downloads import download_file
from playground.ui.components.snippets import api_address
from playground.ui.components.status import verdict
from playground.ui.history.recording import Recorder

REFRESH_S = 0.05

Vote = Literal["a", "tie", "bad", "b"]
VOTES: tuple[Vote, ...] = get_args(Vote)
LaneSetting = str | float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The question that was asked last. ``order`` holds, for each side, the lane that is shown
    there; the rest is known once all lanes have answered: ids in the store and answers by lane,
    ``revealed`` by side.
    """

    order: tuple[int, ...]
    models: tuple[str, ...]
    exchange_id: str = ""
    answer_ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    revealed: tuple[str, ...] = ()
    question: str = ""


@dataclass(frozen=True, slots=True)
class SideUpdate:
    """Changes of one side."""

    label: str | Unchanged = UNCHANGED
    text: str | Unchanged = UNCHANGED
    answer: str | Unchanged = UNCHANGED
    edit: gr.Button | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class EditUpdate:
    """The box in which one answer is edited."""

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
    question: gr.Textbox | Unchanged = UNCHANGED
    stop: gr.Button | Unchanged = UNCHANGED


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


@dataclass(frozen=True, slots=True)
class SavedEditUpdate:
    """The edit boxes, one of them closed, and what was kept."""

    sides: tuple[EditUpdate, ...]
    verdict: str | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class ScoreUpdate:
    """Votes by model, and training rows made from them."""

    score: str
    preferences: gr.DownloadButton
    thumbs: gr.DownloadButton
    good: gr.DownloadButton


@dataclass(frozen=True, slots=True)
class CompareHandlers:
    """The handlers."""

    answering: Answering
    feedback: Feedback
    needs_key: bool = False
    recorder: Recorder = field(default_factory=Recorder)

    async def ask(
        self, question: str, blind: bool, **settings: LaneSetting
    ) -> AsyncGenerator[AnswersUpdate, None]:
        """Let all lanes answer at once; keep the answers with what made them.

        ``settings`` are the lanes' inputs as `lane_inputs` names them.
        """
        if not question.strip():
            return
        lanes = [await self._lane(lane, settings) for lane in range(LANES)]
        order = tuple(blind_order(LANES) if blind else range(LANES))
        comparison = Comparison(order, tuple(lane.model for lane in lanes), question=question)
        last: dict[int, LaneEvent] = {}
        shown_at = 0.0
        yield _started(comparison, question, blind=blind)
        async with aclosing(
            self.answering.ask_lanes(lanes, (Message("user", question),))
        ) as events:
            async for event in events:
                last[event.lane] = event
                ended = event.answer or event.error
                if ended or time.monotonic() - shown_at >= REFRESH_S:
                    shown_at = time.monotonic()
                    events_by_side = [last.get(lane) for lane in order]
                    yield AnswersUpdate(
                        sides=tuple(
                            SideUpdate(text=answer_text(e), answer=answer_html(e, blind=blind))
                            for e in events_by_side
                        )
                    )
        yield self._finished(comparison, question, lanes, last, blind=blind)

    async def code(
        self,
        page: gr.Request,
        number: int,
        question: str,
        comparison: Comparison | None,
        **settings: LaneSetting,
    ) -> CodeUpdate:
        """Open the panel with what one lane is asked as code: the draft, or the last question."""
        asked = question.strip() or (comparison.question if comparison else "") or "Hello!"
        lane = await self._lane(number, settings)
        head = (Message("system", lane.system),) if lane.system else ()
        messages = (*head, Message("user", asked))
        request = Request(lane.model, messages, sampling=lane.sampling)
        return code_update(request, api_address(page), needs_key=self.needs_key)

    async def _lane(self, lane: int, settings: Mapping[str, LaneSetting]) -> Lane:
        values = {name: settings[input_name(lane, name)] for name in LANE_SETTINGS}
        max_tokens, seed = values["max_tokens"], values["seed"]
        sampling = Sampling(
            temperature=float(values["temperature"] or 0),
            max_tokens=int(max_tokens) if max_tokens else None,
            seed=_seed(seed),
        )
        return await self.answering.lane(
            str(values["model"]), str(values["system"] or ""), sampling
        )

    def _finished(
        self,
        comparison: Comparison,
        question: str,
        lanes: list[Lane],
        last: dict[int, LaneEvent],
        *,
        blind: bool,
    ) -> AnswersUpdate:
        order = comparison.order
        events = [event for _, event in sorted(last.items())]
        answers = [
            _new_answer(lane, event.answer, event.sampling)
            for lane, event in zip(lanes, events, strict=False)
            if event.answer
        ]
        complete = len(answers) == LANES
        if complete:
            self.recorder.record_lanes(question, lanes, answers)
            kept = self.feedback.keep((Message("user", question),), answers, blind=blind)
            comparison = replace(
                comparison,
                exchange_id=kept.id,
                answer_ids=tuple(answer.id for answer in kept.answers),
                texts=tuple(answer.text for answer in kept.answers),
                revealed=tuple(answer_html(last[lane], blind=False) for lane in order),
            )
        edit = gr.Button(visible=complete)
        return AnswersUpdate(
            sides=tuple(
                SideUpdate(
                    text=answer_text(last.get(lane)),
                    answer=answer_html(last.get(lane), blind=blind),
                    edit=edit,
                )
                for lane in order
            ),
            comparison=comparison,
            verdict="",
            vote_row=gr.Row(visible=complete),
            question=gr.Textbox(interactive=True, placeholder=ASK),
            stop=gr.Button(visible=False),
        )

    def vote(self, vote: Vote, comparison: Comparison | None) -> RevealUpdate:
        """Keep the vote and reveal the models."""
        if comparison is None or not comparison.exchange_id:
            raise InvalidRequest("vote", "ask something first")
        if vote == "a" or vote == "b":
            lane = comparison.order[("a", "b").index(vote)]
            self.feedback.vote(comparison.exchange_id, "best", comparison.answer_ids[lane])
            text = f"{vote.upper()} is better: {comparison.models[lane]}"
        else:
            self.feedback.vote(comparison.exchange_id, "tie" if vote == "tie" else "all bad")
            text = "both equally good" if vote == "tie" else "both bad"
        labels = _labels(comparison, blind=False)
        return RevealUpdate(
            sides=tuple(
                SideUpdate(label=label, answer=revealed)
                for label, revealed in zip(labels, comparison.revealed, strict=True)
            ),
            verdict=verdict(f"Saved: {text}", good=True),
        )

    def begin_edit(self, side: int, comparison: Comparison | None) -> SavedEditUpdate:
        """Open the box with the answer's text."""
        texts = comparison.texts if comparison else ()
        text = texts[comparison.order[side]] if comparison and texts else ""
        opened = EditUpdate(gr.Textbox(text, visible=True), gr.Button(visible=True))
        return SavedEditUpdate(_at(side, opened))

    def save_edit(self, side: int, text: str, comparison: Comparison | None) -> SavedEditUpdate:
        """Keep the text as a better answer."""
        if comparison is None or not comparison.answer_ids:
            raise InvalidRequest("edit", "ask something first")
        self.feedback.edit(comparison.answer_ids[comparison.order[side]], text)
        closed = EditUpdate(gr.Textbox(visible=False), gr.Button(visible=False))
        return SavedEditUpdate(_at(side, closed), verdict("Saved: a better answer", good=True))

    def reset_inputs(self) -> IdleUpdate:
        """After a failure, or when it was stopped: open the message box."""
        return IdleUpdate(gr.Textbox(interactive=True, placeholder=ASK), gr.Button(visible=False))

    def score(self) -> ScoreUpdate:
        """Count the votes, and make training rows from them."""
        preferences, good = self.feedback.preference_rows(), self.feedback.sft_rows()
        return ScoreUpdate(
            score=score_html(self.feedback.wins(), self.feedback.counts()),
            preferences=_download("preferences.jsonl", preferences),
            thumbs=_download("thumbs.jsonl", self.feedback.unpaired_rows()),
            good=_download("good-answers.jsonl", good),
        )


def _seed(text: LaneSetting) -> int | None:
    """Return the seed; None, which draws one, for an empty box."""
    written = str(text if text is not None else "").strip()
    if not written:
        return None
    try:
        return int(written)
    except ValueError as error:
        raise InvalidRequest("seed", f"{written!r} is no whole number") from error


def _started(comparison: Comparison, question: str, *, blind: bool) -> AnswersUpdate:
    return AnswersUpdate(
        asked=question_html(question),
        sides=tuple(
            SideUpdate(label=label, text="", answer="", edit=gr.Button(visible=False))
            for label in _labels(comparison, blind=blind)
        ),
        comparison=None,
        verdict="",
        vote_row=gr.Row(visible=False),
        question=gr.Textbox(value="", interactive=False),
        stop=gr.Button(visible=True),
    )


def _new_answer(lane: Lane, answer: Answer, sampling: Sampling) -> NewAnswer:
    settings = {
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    return NewAnswer(
        lane.model, answer.text, answer.provenance, lane.system, settings, answer.calls
    )


def _labels(comparison: Comparison, *, blind: bool) -> list[str]:
    return [
        label_html(side, "" if blind else comparison.models[lane])
        for side, lane in zip(SIDES, comparison.order, strict=True)
    ]


def _at(side: int, update: EditUpdate) -> tuple[EditUpdate, ...]:
    return tuple(update if index == side else EditUpdate() for index in range(LANES))


def _download(name: str, rows: Sequence[Mapping[str, object]]) -> gr.DownloadButton:
    return gr.DownloadButton(value=download_file(name, as_jsonl(rows)), interactive=bool(rows))
