"""Decode steps as CUDA graphs: a step's hundreds of launches become one.

Steps in which every sequence gains one token differ only in what their tensors hold. Each size of
batch is captured once, over tensors that stay where they are; a step then copies its tables into
them and replays. Where there are no CUDA graphs the same tensors are run as they are, so that
everything but the capture itself can be tested on any machine.

Source: torch's CUDA graphs (pytorch.org/docs/stable/notes/cuda.html).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from playground.engine.batch import Piece
from playground.engine.forward import Forward
from playground.engine.lora import BASE, AdapterBank
from playground.engine.paged import PAGE, SPARE, PagedStep, PagePool, Tables

SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64)
"""Rows of a captured step; larger ones are run as they come."""
WARM_UPS = 2

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Captured:
    """A captured step: the tensors it reads, and how to run it again."""

    token_ids: Tensor
    positions: Tensor
    slots: Tensor
    tables: Tables
    run: Callable[[], Tensor]


class DecodeGraphs:
    """Captured decode steps over one pool. ``context`` bounds the tokens of a sequence."""

    def __init__(
        self,
        forward: Forward,
        adapters: AdapterBank,
        pool: PagePool,
        *,
        context: int,
        kernel: bool,
    ) -> None:
        self._forward = forward
        self._adapters = adapters
        self._pool = pool
        self._context = context
        self._kernel = kernel
        self._device = pool.shape.device
        self._captured: dict[tuple[int, int, int], Captured] = {}
        self._broken = False

    def run(self, pieces: Sequence[Piece]) -> Tensor | None:
        """Logits ``[pieces, vocabulary]`` of a step of single tokens, valid until the next; None
        where the step is none of those that are captured.
        """
        multiple = self._forward.row_multiple
        if any(piece.slot != BASE for piece in pieces):
            multiple = max(multiple, self._adapters.row_multiple)
        fitting = (size for size in SIZES if size >= len(pieces) and size % multiple == 0)
        size = next(fitting, None)
        single = all(len(p.token_ids) == 1 and p.wants_logits for p in pieces)
        if self._broken or size is None or not single:
            return None
        slots = [piece.slot for piece in pieces] + [BASE] * (size - len(pieces))
        self._adapters.select(slots)
        key = (size, self._adapters.slots_in_step, self._adapters.generation)
        captured = self._captured.get(key)
        if captured is None:
            self._captured = {k: v for k, v in self._captured.items() if k[2] == key[2]}
            captured = self._capture(size)
            if captured is None:
                return None
            self._captured[key] = captured
        self._fill(captured, pieces, slots)
        return captured.run()[: len(pieces)]

    def _fill(self, captured: Captured, pieces: Sequence[Piece], slots: Sequence[int]) -> None:
        padding = [0] * (len(slots) - len(pieces))
        now = Tables.of(pieces, len(slots), torch.device("cpu"))
        captured.tables.pages[:, : now.pages.shape[1]].copy_(now.pages, non_blocking=True)
        for held, new in (
            (captured.tables.places, now.places),
            (captured.tables.used, now.used),
            (captured.tables.begins_k, now.begins_k),
            (captured.token_ids, torch.tensor([p.token_ids[0] for p in pieces] + padding)),
            (captured.positions, torch.tensor([p.start for p in pieces] + padding)),
            (captured.slots, torch.tensor(slots)),
        ):
            held.copy_(new, non_blocking=True)

    def _capture(self, size: int) -> Captured | None:
        """Make a step of ``size`` rows; None, and never again, where that fails."""
        device, pages = self._device, -(-self._context // PAGE)
        counts = torch.arange(size + 1, dtype=torch.int32, device=device)
        tables = Tables(
            places=torch.full((size,), SPARE * PAGE, device=device),
            begins=counts,
            used=torch.ones(size, dtype=torch.int32, device=device),
            begins_k=counts.clone(),
            pages=torch.full((size, pages), SPARE, dtype=torch.int32, device=device),
        )
        token_ids, positions, keep = (
            torch.zeros(size, dtype=torch.long, device=device),
            torch.zeros(size, dtype=torch.long, device=device),
            torch.arange(size, device=device),
        )
        slots = torch.full((size,), BASE, device=device)
        step = PagedStep(self._pool, tables, longest=self._context, widest=1, kernel=self._kernel)

        def forward() -> Tensor:
            self._adapters.use(slots)
            return self._forward(token_ids, positions, keep, step)

        try:
            run = _graph(forward) if device.type == "cuda" else forward
        except RuntimeError as error:
            self._broken = True
            log.warning("decode steps run without CUDA graphs: %s", error)
            return None
        return Captured(token_ids, positions, slots, tables, run)


def _graph(forward: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Capture a function on the present device; it is run a few times before. Other threads may
    allocate meanwhile, as one that loads an adapter or trains does.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            forward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        logits = forward()

    def replay() -> Tensor:
        graph.replay()
        return logits

    return replay
