"""Decode steps as CUDA graphs: a step's hundreds of kernel launches become one.

Steps in which every sequence gains one token differ only in what their tensors hold. Each batch
size is captured once, over tensors that stay where they are; a step then copies its inputs into
them and replays. Where there are no CUDA graphs the same tensors are run as they are, so that
everything but the capture itself can be tested on any machine.

Source: torch's CUDA graphs (pytorch.org/docs/stable/notes/cuda.html).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from playground.engine.batch import ScheduledChunk
from playground.engine.forward import Forward
from playground.engine.lora import BASE, AdapterBank, RowSpan
from playground.engine.paged import (
    BLOCK_SIZE,
    PADDING_BLOCK,
    AttentionMetadata,
    BlockPool,
    PagedStep,
)

BATCH_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64)
"""Rows of a captured step; larger ones are run without capture."""
WARM_UP_RUNS = 2

log = logging.getLogger(__name__)


@dataclass(slots=True)
class CapturedStep:
    """A captured step: the tensors it reads, and a function that runs it again."""

    token_ids: Tensor
    positions: Tensor
    slots: Tensor
    metadata: AttentionMetadata
    run: Callable[[], Tensor]


class DecodeGraphs:
    """Captured decode steps over one pool, for sequences of at most ``context_length`` tokens."""

    def __init__(
        self,
        forward: Forward,
        adapters: AdapterBank,
        pool: BlockPool,
        *,
        context_length: int,
        use_kernel: bool,
    ) -> None:
        self._forward = forward
        self._adapters = adapters
        self._pool = pool
        self._context_length = context_length
        self._use_kernel = use_kernel
        self._device = pool.shape.device
        self._captured: dict[tuple[int, int, tuple[RowSpan, ...]], CapturedStep] = {}
        self._broken = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of the steps that are captured now."""
        return tuple(sorted({size for _, size, _ in self._captured}))

    def run(self, chunks: Sequence[ScheduledChunk]) -> Tensor | None:
        """Return logits ``[chunks, vocabulary]`` of a decode step, valid until the next one.

        None for a step that is not captured: too large, or with a chunk of several tokens.
        """
        multiple = self._forward.row_multiple
        if any(chunk.slot != BASE for chunk in chunks):
            multiple = max(multiple, self._adapters.row_multiple)
        fitting = (size for size in BATCH_SIZES if size >= len(chunks) and size % multiple == 0)
        size = next(fitting, None)
        decodes = all(len(chunk.token_ids) == chunk.num_logits == 1 for chunk in chunks)
        if self._broken or size is None or not decodes:
            return None
        slots = [chunk.slot for chunk in chunks] + [BASE] * (size - len(chunks))
        spans, generation = self._adapters.spans(slots), self._adapters.generation
        captured = self._captured.get((generation, size, spans))
        if captured is None:
            self._captured = {k: step for k, step in self._captured.items() if k[0] == generation}
            captured = self._capture(size, spans)
            if captured is None:
                return None
            self._captured[generation, size, spans] = captured
        self._fill(captured, chunks, slots)
        return captured.run()[: len(chunks)]

    def _fill(
        self, captured: CapturedStep, chunks: Sequence[ScheduledChunk], slots: Sequence[int]
    ) -> None:
        padding = [0] * (len(slots) - len(chunks))
        held, new = captured.metadata, AttentionMetadata.of(chunks, len(slots), torch.device("cpu"))
        blocks = new.block_table.shape[1]
        held.block_table[:, :blocks].copy_(new.block_table, non_blocking=True)
        for target, source in (
            (held.slot_mapping, new.slot_mapping),
            (held.seqlens_k, new.seqlens_k),
            (held.cu_seqlens_k, new.cu_seqlens_k),
            (captured.token_ids, torch.tensor([c.token_ids[0] for c in chunks] + padding)),
            (captured.positions, torch.tensor([chunk.start for chunk in chunks] + padding)),
            (captured.slots, torch.tensor(slots)),
        ):
            target.copy_(source, non_blocking=True)

    def _capture(self, size: int, spans: tuple[RowSpan, ...]) -> CapturedStep | None:
        """Capture a step of ``size`` rows; None where that fails, and for all steps after it."""
        device, blocks = self._device, -(-self._context_length // BLOCK_SIZE)
        counts = torch.arange(size + 1, dtype=torch.int32, device=device)
        metadata = AttentionMetadata(
            slot_mapping=torch.full((size,), PADDING_BLOCK * BLOCK_SIZE, device=device),
            cu_seqlens_q=counts,
            seqlens_k=torch.ones(size, dtype=torch.int32, device=device),
            cu_seqlens_k=counts.clone(),
            block_table=torch.full((size, blocks), PADDING_BLOCK, dtype=torch.int32, device=device),
            max_seqlen_q=1,
            max_seqlen_k=self._context_length,
        )
        token_ids, positions, logits_rows = (
            torch.zeros(size, dtype=torch.long, device=device),
            torch.zeros(size, dtype=torch.long, device=device),
            torch.arange(size, device=device),
        )
        slots = torch.full((size,), BASE, device=device)

        def forward() -> Tensor:
            # made anew, so that the adapters' masks are computed from `slots` in each run
            adapters = self._adapters.for_tensor(spans, slots)
            step = PagedStep(self._pool, metadata, adapters, use_kernel=self._use_kernel)
            return self._forward(token_ids, positions, logits_rows, step)

        try:
            run = _graph(forward) if device.type == "cuda" else forward
        except RuntimeError as error:
            self._broken = True
            log.warning("decode steps run without CUDA graphs: %s", error)
            return None
        return CapturedStep(token_ids, positions, slots, metadata, run)


def _graph(forward: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Capture a function on the current device, after some warm-up runs.

    Other threads may allocate meanwhile, as one that loads an adapter or trains does.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_RUNS):
            forward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        logits = forward()

    def replay() -> Tensor:
        graph.replay()
        return logits

    return replay
