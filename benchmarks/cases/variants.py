"""Our own variants of every kind of request that went wrong somewhere, with what is right.

The shapes come from public reports about servers of this kind; texts are invented. A variant is
sent whole, and streamed where that can differ.
"""

from collections.abc import Iterator

import httpx

from benchmarks.cases.case import Case
from benchmarks.cases.conversations import histories, orders
from benchmarks.cases.cut_answers import cut_answers
from benchmarks.cases.http import http
from benchmarks.cases.parameters import parameters
from benchmarks.cases.schemas import schemas


def all_variants(client: httpx.Client) -> Iterator[Case]:
    """Every variant; ``client`` gives the uncut answers that cut ones are compared with."""
    yield from cut_answers(client)
    yield from histories()
    yield from orders()
    yield from schemas()
    yield from parameters()
    yield from http()
