"""Events on their way from the engine's thread to callers' event loops.

A stream's first piece and its end leave at once, what comes between at most every so often, joined:
each hop into an event loop takes the interpreter's lock from the engine, and nobody reads five
hundred pieces a second. Knows no model and no request.
"""

import asyncio
import time
from collections import defaultdict

from playground.errors import PlaygroundError
from playground.protocol import Event

Outcome = Event | PlaygroundError


class Mailbox:
    """One caller's: outcomes arrive in its event loop, in order."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.arrived: asyncio.Queue[Outcome] = asyncio.Queue()
        self.begun = False


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
        if held and isinstance(outcome, Event) and _joins(held[-1], outcome):
            held[-1] = _joined(held[-1], outcome)
        else:
            held.append(outcome)
        if not mailbox.begun or not isinstance(outcome, Event) or outcome.finish_reason:
            mailbox.begun = True
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


def _joins(first: Outcome, second: Event) -> bool:
    """Whether both are pieces of one text."""
    return (
        isinstance(first, Event)
        and first.channel == second.channel
        and not first.finish_reason
        and not second.finish_reason
    )


def _joined(first: Outcome, second: Event) -> Event:
    assert isinstance(first, Event)
    text, logprobs = first.text + second.text, first.logprobs + second.logprobs
    return Event(text=text, logprobs=logprobs, channel=second.channel)


def _deliver(deliveries: list[tuple[Mailbox, list[Outcome]]]) -> None:
    for mailbox, outcomes in deliveries:
        for outcome in outcomes:
            mailbox.arrived.put_nowait(outcome)
