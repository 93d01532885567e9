"""What happens in the Compare tab as lanes are asked: each event is a method from values to named
updates."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import gradio as gr

from playground.lab import Lane, LaneEvent, blind_order
from playground.protocol import Answer, Message
from playground.store import Feedback, NewAnswer
from playground.ui.compare.lanes import LaneHandlers, LaneSetting, lanes_of
from playground.ui.compare.layout import ASK, SIDES
from playground.ui.compare.updates import (
    AnswersUpdate,
    Comparison,
    IdleUpdate,
    LanesTurn,
    SideUpdate,
)
from playground.ui.compare.views import (
    answer_html,
    answer_text,
    label_html,
    past_text,
    question_html,
)
from playground.ui.components.code_panel import CodeUpdate, code_update
from playground.ui.components.snippets import api_address
from playground.ui.history.recording import Recorder

REFRESH_S = 0.05
SETTINGS = ("temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True, slots=True)
class CompareHandlers:
    """The handlers."""

    lanes: LaneHandlers
    feedback: Feedback
    needs_key: bool = False
    recorder: Recorder = field(default_factory=Recorder)

    async def ask(
        self,
        question: str,
        before: Comparison | None,
        blind: bool,
        count: int,
        tags: str = "",
        **settings: LaneSetting,
    ) -> AsyncGenerator[AnswersUpdate, None]:
        """Let all lanes answer at once, each after its own answers so far; keep the answers with
        what made them.

        ``settings`` are the lanes' inputs as `lane_inputs` names them.
        """
        if not question.strip():
            return
        lanes = [await self.lanes.lane(number, settings) for number in range(lanes_of(count))]
        comparison = _begun(question, before, lanes, blind=blind)
        last: dict[int, LaneEvent] = {}
        shown_at = 0.0
        yield _started(comparison)
        comparison = self._recorded(comparison, lanes)
        lanes = [replace(lane, conversation=comparison.conversation) for lane in lanes]
        events = self.lanes.answering.ask_lanes(
            lanes, (Message("user", question),), comparison.earlier()
        )
        async with aclosing(events):
            async for event in events:
                last[event.lane] = event
                ended = event.answer or event.error
                if ended or time.monotonic() - shown_at >= REFRESH_S:
                    shown_at = time.monotonic()
                    yield AnswersUpdate(sides=_padded(_sides(comparison, last)))
        yield self._finished(comparison, lanes, last, tags)

    async def code(
        self,
        page: gr.Request,
        number: int,
        question: str,
        comparison: Comparison | None,
        **settings: LaneSetting,
    ) -> CodeUpdate:
        """Open the panel with what one lane is asked as code: the draft, or the last question."""
        lane = await self.lanes.lane(number, settings)
        drafted = question.strip()
        asked = drafted or (comparison.question if comparison else "") or "Hello!"
        turns: Sequence[LanesTurn] = ()
        if comparison and number < len(comparison.order):
            turns = comparison.done if drafted else comparison.turns
            comparison = replace(comparison, turns=tuple(turns))
            before = comparison.earlier()[number]
        else:
            before = ()
        request = lane.request((*before, Message("user", asked)))
        return code_update(request, api_address(page), needs_key=self.needs_key)

    def reset_inputs(self) -> IdleUpdate:
        """After a failure, or when it was stopped: open the message box."""
        return IdleUpdate(gr.Textbox(interactive=True, placeholder=ASK), gr.Button(visible=False))

    def new(self, count: int) -> AnswersUpdate:
        """Begin a new comparison with so many lanes."""
        shown = lanes_of(count)
        return AnswersUpdate(
            asked="",
            sides=tuple(
                SideUpdate(
                    column=gr.Column(visible=number < shown),
                    label=label_html(side, ""),
                    past="",
                    text="",
                    answer="",
                    edit=gr.Button(visible=False),
                    edited=gr.Textbox(visible=False),
                    save=gr.Button(visible=False),
                )
                for number, side in enumerate(SIDES)
            ),
            comparison=None,
            verdict="",
            vote_row=gr.Row(visible=False),
        )

    def _finished(
        self,
        comparison: Comparison,
        lanes: Sequence[Lane],
        last: Mapping[int, LaneEvent],
        tags: str,
    ) -> AnswersUpdate:
        events = [last.get(number) for number in range(len(lanes))]
        answers = tuple(
            _new_answer(lane, event.answer, event)
            for lane, event in zip(lanes, events, strict=True)
            if event and event.answer
        )
        complete = len(answers) == len(lanes)
        if complete:
            comparison = self._kept(comparison, lanes, answers, tags)
            revealed = tuple(answer_html(last[lane], blind=False) for lane in comparison.order)
            comparison = replace(comparison, revealed=revealed)
        sides = [
            replace(side, edit=gr.Button(visible=complete)) for side in _sides(comparison, last)
        ]
        word = "better" if len(lanes) == 2 else "best"
        votes = tuple(
            gr.Button(f"{side} is {word}", visible=number < len(lanes))
            for number, side in enumerate(SIDES)
        )
        bad = gr.Button("Both are bad" if len(lanes) == 2 else "All are bad")
        return AnswersUpdate(
            sides=_padded(sides),
            comparison=comparison,
            verdict="",
            vote_row=gr.Row(visible=complete),
            votes=(*votes, gr.Button(), bad),
            question=gr.Textbox(interactive=True, placeholder=ASK),
            stop=gr.Button(visible=False),
        )

    def _recorded(self, comparison: Comparison, lanes: Sequence[Lane]) -> Comparison:
        """Keep the question in the history before it is answered."""
        questions = [*(turn.question for turn in comparison.turns), comparison.question]
        answers = [turn.answers for turn in comparison.turns]
        kept = self.recorder.record_lanes(questions, lanes, answers, comparison.conversation)
        return replace(comparison, conversation=kept)

    def _kept(
        self,
        comparison: Comparison,
        lanes: Sequence[Lane],
        answers: tuple[NewAnswer, ...],
        tags: str,
    ) -> Comparison:
        """Keep the answers, each with its conversation, as feedback and in the history."""
        questions = [*(turn.question for turn in comparison.turns), comparison.question]
        kept = self.feedback.keep(
            [Message("user", question) for question in questions],
            answers,
            blind=comparison.hidden,
            tags=tags.split(","),
        )
        earlier = [turn.answers for turn in comparison.turns]
        conversation = self.recorder.record_lanes(
            questions, lanes, [*earlier, answers], comparison.conversation
        )
        return replace(
            comparison,
            exchange_id=kept.id,
            answer_ids=tuple(answer.id for answer in kept.answers),
            answers=answers,
            conversation=conversation,
        )


def labels(comparison: Comparison) -> list[str]:
    """Return the sides' headings, without models while they are hidden."""
    return [
        label_html(side, "" if comparison.hidden else comparison.models[lane])
        for side, lane in zip(SIDES, comparison.order, strict=False)
    ]


def _begun(
    question: str, before: Comparison | None, lanes: Sequence[Lane], *, blind: bool
) -> Comparison:
    """The next turn of a comparison, or the first of a new one. Sides stay where they are; who
    answers is hidden only if it never was shown."""
    models = tuple(_name(lane) for lane in lanes)
    if before is None or len(before.order) != len(lanes) or not before.done:
        order = blind_order(len(lanes)) if blind else range(len(lanes))
        return Comparison(tuple(order), models, question, hidden=blind)
    return Comparison(
        before.order,
        models,
        question,
        before.done,
        hidden=blind and before.hidden,
        conversation=before.conversation,
    )


def _name(lane: Lane) -> str:
    return " · ".join(filter(None, [lane.model, lane.prompt_name]))


def _started(comparison: Comparison) -> AnswersUpdate:
    sides = [
        SideUpdate(
            column=gr.Column(visible=True),
            label=label,
            past=past_text(comparison.turns, lane),
            text="",
            answer="",
            edit=gr.Button(visible=False),
            edited=gr.Textbox(visible=False),
            save=gr.Button(visible=False),
        )
        for label, lane in zip(labels(comparison), comparison.order, strict=True)
    ]
    hidden = SideUpdate(column=gr.Column(visible=False))
    return AnswersUpdate(
        asked=question_html(comparison.question),
        sides=_padded(sides, hidden),
        comparison=comparison,
        verdict="",
        vote_row=gr.Row(visible=False),
        question=gr.Textbox(value="", interactive=False),
        stop=gr.Button(visible=True),
    )


def _sides(comparison: Comparison, last: Mapping[int, LaneEvent]) -> list[SideUpdate]:
    return [
        SideUpdate(
            text=answer_text(last.get(lane)),
            answer=answer_html(last.get(lane), blind=comparison.hidden),
        )
        for lane in comparison.order
    ]


def _padded(sides: Sequence[SideUpdate], rest: SideUpdate | None = None) -> tuple[SideUpdate, ...]:
    """Updates of all sides; those that are not in use get ``rest``."""
    return (*sides, *[rest or SideUpdate()] * (len(SIDES) - len(sides)))


def _new_answer(lane: Lane, answer: Answer, event: LaneEvent) -> NewAnswer:
    system = "\n\n".join(each.content for each in event.messages if each.role == "system")
    return NewAnswer(
        lane.model,
        answer.text,
        answer.provenance,
        system,
        {name: getattr(event.sampling, name) for name in SETTINGS},
        answer.calls,
        prompt=lane.prompt_name,
        messages=tuple(each for each in event.messages if each.role != "system"),
    )
