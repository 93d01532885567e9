"""Shares the steps between clients: one with many answers does not slow down another with few.

Where a row of a batch costs next to nothing, as on a GPU, all take part in each step. Where each
row costs time, as on a CPU, sequences of clients that have more of them than others sit steps out,
so that a step takes not much longer than the others' alone. What rows cost is measured as the
engine works. Knows sequences and seconds; knows no model and no thread.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as AnySequence
from itertools import chain

import numpy as np

from playground.engine.batch import ScheduledChunk
from playground.engine.sequence import Sequence
from playground.protocol import Priority

SLOWDOWN = 0.05
"""How much longer a step may take, on the average, for rows that are beyond a client's share."""
WINDOW, FIT_EVERY = 256, 16
"""Steps that costs are fitted to, and after how many they are fitted anew."""
PATIENCE_STEPS = 16
"""So many steps' worth of unused time is kept, or owed, at most."""
STEADY_ROWS, STEADY_TOKENS = 0.25, 64.0
"""Variances of rows and of prompt tokens up to which little is said of what they cost."""


class StepCosts:
    """Seconds of a step, of each row that is decoded in it, and of each token of a prompt.

    By least squares over the last steps. Where these were all alike they say nothing of what a row
    costs, and what was known before holds; in the beginning a row is taken to cost nothing.
    """

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int, float]] = deque(maxlen=WINDOW)
        self._new = 0
        self.step_s = self.row_s = self.token_s = 0.0

    def add(self, rows: int, prompt_tokens: int, seconds: float) -> None:
        """Take what a step took."""
        self._steps.append((rows, prompt_tokens, seconds))
        self._new += 1
        if self._new >= FIT_EVERY:
            self._new = 0
            self._fit()

    def _fit(self) -> None:
        measured = np.array(self._steps)
        usual = np.median(measured[:, 2])
        measured[:, 2] = np.minimum(measured[:, 2], 10 * usual)  # what something else held up
        means = measured.mean(axis=0)
        centered = measured - means
        counts, known = centered[:, :2], np.array([self.row_s, self.token_s])
        unexplained = centered[:, 2] - counts @ known
        steady = np.diag([STEADY_ROWS, STEADY_TOKENS]) * len(measured)
        change = np.linalg.solve(counts.T @ counts + steady, counts.T @ unexplained)
        row_s, token_s = np.maximum(known + change, 0.0)
        self.row_s, self.token_s = float(row_s), float(token_s)
        self.step_s = max(0.0, float(means[2] - means[0] * row_s - means[1] * token_s))


class StepShares:
    """Says who sits a step out. Its methods belong to the engine's thread.

    Each client has as many rows in a step as the one with the fewest sequences. Its further rows,
    its prompts and its drafts take part, those that paused longest first, as long as the time for
    it lasts: `SLOWDOWN` of each step. Sequences of a batch are not its business.
    """

    def __init__(self) -> None:
        self.costs = StepCosts()
        self._left_s = 0.0
        self._step = 0
        self._over: frozenset[str] = frozenset()

    def pausing(self, running: Iterable[Sequence]) -> set[Sequence]:
        """Return the sequences that sit the next step out."""
        self._step += 1
        clients = _by_client(running)
        share = min(map(len, clients.values()), default=0)
        self._over = frozenset(
            client for client, sequences in clients.items() if len(sequences) > share
        )
        if not self._over:
            self._left_s = 0.0
            return set()
        own_s = self.costs.step_s + len(clients) * share * self.costs.row_s
        most_s = PATIENCE_STEPS * SLOWDOWN * own_s
        self._left_s = min(most_s, max(-most_s, self._left_s) + SLOWDOWN * own_s)
        beyond = chain.from_iterable(_beyond(clients[client], share) for client in self._over)
        return {sequence for sequence in sorted(beyond, key=_last_step) if not self._buys(sequence)}

    def took(
        self, schedule: Mapping[Sequence, AnySequence[ScheduledChunk]], seconds: float
    ) -> None:
        """Take the seconds of a step."""
        rows = prompt_tokens = 0
        for sequence, chunks in schedule.items():
            sequence.last_step = self._step
            tokens = sum(len(chunk.token_ids) for chunk in chunks)
            if chunks[0].start < sequence.prompt_length - 1:
                prompt_tokens += tokens
                continue
            rows += tokens
            if sequence.request.client in self._over:
                self._left_s -= (tokens - 1) * self.costs.row_s
        self.costs.add(rows, prompt_tokens, seconds)

    def _buys(self, sequence: Sequence) -> bool:
        """Say whether there is time for a sequence, and take it."""
        if self._left_s < 0:
            return False
        left = len(sequence.tokens) - sequence.num_computed
        self._left_s -= left * self.costs.token_s if _is_prompt(sequence) else self.costs.row_s
        return True


def _beyond(sequences: Iterable[Sequence], share: int) -> AnySequence[Sequence]:
    """What a client's share of so many rows has no room for, and its prompts."""
    ordered = sorted(sequences, key=_last_step)
    rows = [sequence for sequence in ordered if not _is_prompt(sequence)]
    return [*rows[share:], *filter(_is_prompt, ordered)]


def _by_client(running: Iterable[Sequence]) -> Mapping[str, list[Sequence]]:
    found: dict[str, list[Sequence]] = {}
    for sequence in running:
        if sequence.request.priority < Priority.BATCH:
            found.setdefault(sequence.request.client, []).append(sequence)
    return found


def _last_step(sequence: Sequence) -> int:
    return sequence.last_step


def _is_prompt(sequence: Sequence) -> bool:
    return sequence.num_computed < sequence.prompt_length - 1
