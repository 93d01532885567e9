"""What happens in the Compare tab: each event as a function from values to values.

Knows which outputs an event has and in which order; which component they are is compare.py's
matter.
"""

import json
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from playground.errors import InvalidRequest
from playground.lab import Finished, Lane, ask_lanes, blind_order, lane_of
from playground.lab.compare import LaneEvent
from playground.protocol import Backend, Message, Provenance, Sampling
from playground.store import Feedback, NewAnswer
from playground.store.feedback import as_jsonl
from playground.ui.compare.layout import LANES, SIDES
from playground.ui.components.errors import shows_errors
from playground.ui.components.status import answer_note, verdict

Updates = tuple[Any, ...]
Asked = dict[str, Any]
LANE_FIELDS = 5
REFRESH_S = 0.05
VOTES = ("a", "tie", "bad", "b")


@dataclass(frozen=True, slots=True)
class Compare:
    """The handlers.

    What answers returns: both labels, both answers, what was asked, the verdict, then the row of
    votes, both buttons to mend, the box and the stop button.
    """

    backend: Backend
    feedback: Feedback

    @shows_errors
    async def ask(self, question: str, blind: bool, *fields: Any) -> AsyncGenerator[Updates, None]:
        """Both lanes answer at once; the answers are kept with what made them."""
        if not question.strip():
            return
        lanes = [
            self._lane(*fields[at * LANE_FIELDS : (at + 1) * LANE_FIELDS]) for at in range(LANES)
        ]
        order = blind_order(LANES) if blind else list(range(LANES))
        asked: Asked = {"order": order, "blind": blind, "lanes": [e.model for e in lanes]}
        last: dict[int, LaneEvent] = {}
        shown_at = 0.0
        yield self._busy(asked, question)
        message = Message("user", question)
        async with aclosing(ask_lanes(self.backend, lanes, (message,))) as events:
            async for event in events:
                last[event.lane] = event
                ended = event.finished or event.error
                if ended or time.monotonic() - shown_at >= REFRESH_S:
                    shown_at = time.monotonic()
                    answers = [_shown(last.get(lane), blind=blind) for lane in order]
                    yield (gr.skip(), gr.skip(), *answers, *(gr.skip(),) * 7)
        yield self._finished(asked, question, lanes, last)

    def _lane(
        self,
        model: str,
        system: str,
        temperature: float,
        max_tokens: float | None,
        seed: float | None,
    ) -> Lane:
        sampling = Sampling(
            temperature=float(temperature),
            max_tokens=int(max_tokens) if max_tokens else None,
            seed=int(seed) if seed is not None else None,
        )
        return lane_of(self.backend, model, system or "", sampling)

    def _busy(self, asked: Asked, question: str) -> Updates:
        labels = _labels(asked, told=not asked["blind"])
        hidden = gr.Button(visible=False)
        box = gr.Textbox(value="", placeholder=question, interactive=False)
        return (
            *labels, "", "", {}, "", gr.Row(visible=False), hidden, hidden, box,
            gr.Button(visible=True),
        )  # fmt: skip

    def _finished(
        self, asked: Asked, question: str, lanes: list[Lane], last: dict[int, LaneEvent]
    ) -> Updates:
        order, blind = asked["order"], asked["blind"]
        done = [event.finished for _, event in sorted(last.items()) if event.finished]
        answers = [_shown(last.get(lane), blind=blind) for lane in order]
        whole = len(done) == LANES
        if whole:
            new = [_kept(lane, each) for lane, each in zip(lanes, done, strict=True)]
            kept = self.feedback.keep((Message("user", question),), new, blind=blind)
            asked |= {
                "exchange": kept.id,
                "answers": [each.id for each in kept.answers],
                "texts": [each.text for each in kept.answers],
                "views": [_shown(last[lane], blind=False) for lane in order],
            }
        return (
            *(gr.skip(),) * 2, *answers, asked, "", gr.Row(visible=whole),
            *(gr.Button(visible=whole),) * 2,
            gr.Textbox(interactive=True, placeholder="Ask both"), gr.Button(visible=False),
        )  # fmt: skip

    @shows_errors
    def vote(self, which: str, asked: Asked) -> Updates:
        """Keep the vote; now the labels are told."""
        if "exchange" not in asked:
            raise InvalidRequest("vote", "ask something first")
        if which in ("a", "b"):
            lane = asked["order"][("a", "b").index(which)]
            self.feedback.vote(asked["exchange"], "best", asked["answers"][lane])
            words = f"{which.upper()} is better: {asked['lanes'][lane]}"
        else:
            self.feedback.vote(asked["exchange"], "tie" if which == "tie" else "all bad")
            words = "both equally good" if which == "tie" else "both bad"
        return *_labels(asked, told=True), *asked["views"], verdict(f"Kept: {words}", good=True)

    def begin_edit(self, side: int, asked: Asked) -> Updates:
        """The answer's text in a box."""
        text = asked["texts"][asked["order"][side]] if "texts" in asked else ""
        return gr.Textbox(text, visible=True), gr.Button(visible=True)

    @shows_errors
    def save_edit(self, side: int, text: str, asked: Asked) -> Updates:
        """Keep what the answer should have been."""
        if "answers" not in asked:
            raise InvalidRequest("edit", "ask something first")
        self.feedback.edit(asked["answers"][asked["order"][side]], text)
        hidden = gr.Button(visible=False)
        return gr.Textbox(visible=False), hidden, verdict("Kept: a better answer", good=True)

    def rest(self) -> Updates:
        """After a failure, or when it was stopped: the box takes a message again."""
        return gr.Textbox(interactive=True, placeholder="Ask both"), gr.Button(visible=False)

    def score(self) -> Updates:
        """Votes by model, and the rows that come of them."""
        wins = self.feedback.wins()
        rows = "".join(
            f"<tr><td>{escape(model)}</td><td>{s['won']}</td><td>{s['lost']}</td>"
            f"<td>{s['even']}</td></tr>"
            for model, s in sorted(wins.items(), key=lambda each: -each[1]["won"])
        )
        heads = "<tr><th>Model</th><th>Won</th><th>Lost</th><th>Even</th></tr>"
        counts = self.feedback.counts()
        words = f"{counts['votes']} votes, {counts['edits']} edits, {counts['thumbs']} thumbs"
        table = f"<table><thead>{heads}</thead><tbody>{rows}</tbody></table>" if rows else ""
        folder = Path(tempfile.mkdtemp(prefix="votes-"))
        files = []
        for name, found in (
            ("preferences.jsonl", self.feedback.preference_rows()),
            ("good-answers.jsonl", self.feedback.sft_rows()),
        ):
            (folder / name).write_text(as_jsonl(found), encoding="utf-8")
            files.append(gr.DownloadButton(value=str(folder / name), interactive=bool(found)))
        return f'<div class="fields"><p class="note">{words}</p>{table}</div>', *files


def _kept(lane: Lane, done: Finished) -> NewAnswer:
    settings = {
        "temperature": done.sampling.temperature,
        "max_tokens": done.sampling.max_tokens,
        "seed": done.sampling.seed,
    }
    return NewAnswer(lane.model, done.text, done.provenance, lane.system, settings, done.calls)


def _labels(asked: Asked, *, told: bool) -> tuple[str, ...]:
    names = [asked["lanes"][lane] if told else "" for lane in asked["order"]]
    return tuple(
        f"<h3>{side} <span>{escape(name)}</span></h3>"
        for side, name in zip(SIDES, names, strict=True)
    )


def _shown(event: LaneEvent | None, *, blind: bool) -> str:
    """An answer, and below it what made it, unless that is not to be told yet."""
    if event is None:
        return '<div class="spoken"></div>'
    if event.error:
        return f'<p class="note bad">{escape(event.error.message)}</p>'
    text = f'<div class="spoken">{escape(event.text)}</div>'
    done = event.finished
    if done is None:
        return text
    calls = "".join(
        f"<pre>{escape(json.dumps({'name': c.name, 'arguments': json.loads(c.arguments)}))}</pre>"
        for c in done.calls
    )
    if blind:
        return text + calls
    note = answer_note(done.usage, done.timings, done.finish_reason)
    return f'{text}{calls}<p class="note">{escape(note)}</p>{_provenance(done.provenance, done)}'


def _provenance(provenance: Provenance, done: Finished) -> str:
    parts = [f"base {provenance.base_hash[:8]}"]
    if provenance.quantization != "none":
        parts.append(provenance.quantization)
    if provenance.adapter:
        parts.append(f"adapter {provenance.adapter} {provenance.adapter_hash[:8]}")
    parts += [f"temperature {done.sampling.temperature:g}", f"seed {done.sampling.seed}"]
    return f'<p class="note made-by">{escape(" · ".join(parts))}</p>'
