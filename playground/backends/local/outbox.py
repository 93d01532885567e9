"""Pieces of answers on their way from the engine's thread to callers' event loops.

A stream's first piece and its end leave at once; pieces in between leave joined, at most every
``interval_s``: each hop into an event loop takes the interpreter's lock from the engine, and nobody
reads five hundred pieces a second. Knows no model and no request.
"""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal, TypeAlias

from playground.engine.request import GenerationResult
from playground.errors import PlaygroundError
from playground.protocol import TokenLogprob

Channel = Literal["prompt", "text", "reasoning", "calls"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text as the model wrote it; on the channel ``calls`` it is calls, with control tokens
    by name; on ``reasoning`` it comes before the answer; on ``prompt`` there are only the
    log-probabilities of the prompt's tokens. ``num_tokens`` counts the answer's up to here.
    """

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    channel: Channel = "text"
    num_tokens: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The end of an answer; ``at_stop_string`` if one of the request's stop strings ended it."""

    result: GenerationResult
    at_stop_string: bool = False


Outcome: TypeAlias = Piece | End | PlaygroundError


class Mailbox:
    """One caller's: outcomes arrive in its event loop, in order."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.arrived: asyncio.Queue[Outcome] = asyncio.Queue()
        self.started = False
        self.abandoned = False


class Outbox:
    """Holds outcomes for at most ``interval_s`` seconds, or to the end of a longer step.

    Lives on the engine's thread.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._held: defaultdict[Mailbox, list[Outcome]] = defaultdict(list)
        self._urgent: set[Mailbox] = set()
        self._sent_s = 0.0

    def put(self, mailbox: Mailbox, outcome: Outcome) -> None:
        """Hold an outcome; a piece of text joins the one before it."""
        held = self._held[mailbox]
        last = held[-1] if held else None
        is_piece = isinstance(outcome, Piece)
        if isinstance(outcome, Piece) and isinstance(last, Piece) and _joinable(last, outcome):
            held[-1] = Piece(
                last.text + outcome.text,
                last.logprobs + outcome.logprobs,
                outcome.channel,
                outcome.num_tokens,
            )
        else:
            held.append(outcome)
        if not mailbox.started or not is_piece:
            mailbox.started = True
            self._urgent.add(mailbox)

    def send(self) -> None:
        """Hand over what is due: one hop into each event loop, however many streams."""
        now = time.monotonic()
        due = list(self._urgent)
        if now - self._sent_s >= self._interval_s:
            due, self._sent_s = list(self._held), now
        if not due:
            return
        by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[Mailbox, list[Outcome]]]]
        by_loop = defaultdict(list)
        for mailbox in due:
            by_loop[mailbox.loop].append((mailbox, self._held.pop(mailbox)))
        self._urgent.clear()
        for loop, deliveries in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver, deliveries)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                continue


def _joinable(first: Piece, second: Piece) -> bool:
    return first.channel == second.channel


def _deliver(deliveries: list[tuple[Mailbox, list[Outcome]]]) -> None:
    for mailbox, outcomes in deliveries:
        for outcome in outcomes:
            mailbox.arrived.put_nowait(outcome)
