"""Keys and values in blocks, and attention over them: for GPUs, whose kernels follow a block table.

One pool holds the blocks of all sequences. A step's metadata says where each row's keys and values
go and which blocks each sequence reads, so that one call a layer attends all rows and its tensors
can stay where they are from step to step (`graphs`). Source: vLLM's PagedAttention
(arXiv:2309.06180); the kernel is FlashAttention's in torch (`torch.nn.attention.varlen`). Where
there is none, blocks are gathered and attended sequence by sequence, which is slower and right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention

from playground.engine.batch import ScheduledChunk
from playground.engine.kv_cache import CacheBudget, SequenceCache
from playground.engine.lora import StepAdapters

BLOCK_SIZE = 256
"""Tokens; FlashAttention 2 takes no blocks but multiples of it."""
PADDING_BLOCK = 0
"""The block that rows of no sequence write to."""


@dataclass(frozen=True, slots=True)
class PoolShape:
    """The shape of a token's keys and values in every layer."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device


class BlockPool(CacheBudget):
    """The budget of a GPU: as many blocks as ``tokens`` fill, allocated at once."""

    def __init__(self, shape: PoolShape, tokens: int) -> None:
        blocks = max(1, tokens // BLOCK_SIZE)
        super().__init__(total=blocks * BLOCK_SIZE)
        self.shape = shape
        self._free = list(range(blocks, PADDING_BLOCK, -1))
        self._stored = torch.zeros(
            2 * shape.layers,
            blocks + 1,
            BLOCK_SIZE,
            shape.kv_heads,
            shape.head_dim,
            dtype=shape.dtype,
            device=shape.device,
        )

    def fits(self, cache: SequenceCache, capacity: int) -> bool:
        """See `CacheBudget`."""
        return _missing_blocks(cache, capacity) <= len(self._free)

    def grow(self, cache: SequenceCache, capacity: int) -> None:
        """Give ``cache`` blocks for ``capacity`` tokens."""
        for _ in range(_missing_blocks(cache, capacity)):
            cache.blocks.append(self._free.pop())
        self.used += len(cache.blocks) * BLOCK_SIZE - cache.capacity
        cache.capacity = len(cache.blocks) * BLOCK_SIZE

    def copy(self, source: SequenceCache, target: SequenceCache, tokens: int) -> None:
        """See `CacheBudget`; whole blocks are copied."""
        count = -(-tokens // BLOCK_SIZE)
        blocks = [source.blocks[:count], target.blocks[:count]]
        with torch.inference_mode():
            table = torch.tensor(blocks, device=self.shape.device)
            self._stored[:, table[1]] = self._stored[:, table[0]]

    def release(self, cache: SequenceCache) -> None:
        """Take its blocks back."""
        super().release(cache)
        self._free += cache.blocks
        cache.blocks, cache.capacity = [], 0

    def layer(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return a layer's keys and values, each ``[blocks, BLOCK_SIZE, kv_heads, head_dim]``."""
        return self._stored[2 * layer], self._stored[2 * layer + 1]


def _missing_blocks(cache: SequenceCache, capacity: int) -> int:
    return max(0, -(-capacity // BLOCK_SIZE) - len(cache.blocks))


@dataclass(frozen=True, slots=True)
class AttentionMetadata:
    """A step as the kernel takes it, a sequence for each chunk and each row of padding.

    ``slot_mapping`` ``[rows]``: the place in the pool of each row's keys and values.
    ``cu_seqlens_q`` ``[sequences + 1]``: the row at which each sequence starts. ``seqlens_k``
    ``[sequences]``: its tokens so far; ``cu_seqlens_k``: their cumulative sums, from 0.
    ``block_table`` ``[sequences, blocks]``. No sequence has more than ``max_seqlen_q`` rows and
    ``max_seqlen_k`` tokens.
    """

    slot_mapping: Tensor
    cu_seqlens_q: Tensor
    seqlens_k: Tensor
    cu_seqlens_k: Tensor
    block_table: Tensor
    max_seqlen_q: int
    max_seqlen_k: int

    @classmethod
    def of(
        cls, chunks: Sequence[ScheduledChunk], rows: int, device: torch.device
    ) -> "AttentionMetadata":
        """Describe a step that is padded to ``rows``."""
        slot_mapping: list[int] = []
        cu_seqlens_q, seqlens_k, tables = [0], [], []
        for chunk in chunks:
            blocks = chunk.cache.blocks
            slot_mapping += (
                blocks[position // BLOCK_SIZE] * BLOCK_SIZE + position % BLOCK_SIZE
                for position in range(chunk.start, chunk.stop)
            )
            cu_seqlens_q.append(len(slot_mapping))
            seqlens_k.append(chunk.stop)
            tables.append(blocks[: -(-chunk.stop // BLOCK_SIZE)])
        for _ in range(rows - len(slot_mapping)):
            slot_mapping.append(PADDING_BLOCK * BLOCK_SIZE)
            cu_seqlens_q.append(len(slot_mapping))
            seqlens_k.append(1)
            tables.append([PADDING_BLOCK])
        width = max(map(len, tables))
        cu_seqlens_k = [0]
        for tokens in seqlens_k:
            cu_seqlens_k.append(cu_seqlens_k[-1] + tokens)

        def int32(values: list[int] | list[list[int]]) -> Tensor:
            return torch.tensor(values, dtype=torch.int32, device=device)

        return cls(
            slot_mapping=torch.tensor(slot_mapping, device=device),
            cu_seqlens_q=int32(cu_seqlens_q),
            seqlens_k=int32(seqlens_k),
            cu_seqlens_k=int32(cu_seqlens_k),
            block_table=int32([table + [PADDING_BLOCK] * (width - len(table)) for table in tables]),
            max_seqlen_q=max(len(chunk.token_ids) for chunk in chunks),
            max_seqlen_k=max(chunk.stop for chunk in chunks),
        )


class PagedStep:
    """An `attention.Step` over a pool.

    The kernel may divide a long sequence's keys among a GPU's processors only where every sequence
    has one row, with neither window nor causal mask, and several heads share their keys: there it
    moves those heads to where a prompt's rows would be. Elsewhere torch 2.13 would write what it
    divided to the first sequence's rows, whichever sequence it belongs to (pytorch/pytorch issue
    194167).
    """

    def __init__(
        self,
        pool: BlockPool,
        metadata: AttentionMetadata,
        adapters: StepAdapters,
        *,
        use_kernel: bool,
    ) -> None:
        self.max_seqlen_k = metadata.max_seqlen_k
        self.adapters = adapters
        self._pool = pool
        self._metadata = metadata
        self._use_kernel = use_kernel

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float | None,
        window: int | None = None,
    ) -> Tensor:
        """See `attention.Step`."""
        metadata = self._metadata
        keys, values = self._pool.layer(layer)
        keys.view(-1, *key.shape[1:]).index_copy_(0, metadata.slot_mapping, key)
        values.view(-1, *value.shape[1:]).index_copy_(0, metadata.slot_mapping, value)
        if not self._use_kernel:
            return _attend_gathered(query, keys, values, metadata, scaling, window)
        may_split = metadata.max_seqlen_q == 1 and not window and query.shape[1] > key.shape[1]
        before = window - 1 if window else -1
        attended = varlen_attn(
            query,
            keys,
            values,
            metadata.cu_seqlens_q,
            metadata.cu_seqlens_k,
            metadata.max_seqlen_q,
            metadata.max_seqlen_k,
            scale=scaling,
            window_size=(-1, -1) if may_split else (before, 0),  # nothing follows a single row
            enable_gqa=query.shape[1] != key.shape[1],
            seqused_k=metadata.seqlens_k,
            block_table=metadata.block_table,
            num_splits=None if may_split else 1,
        )
        assert isinstance(attended, Tensor)  # a tuple only where the log-sum-exp is asked for
        return attended


def _attend_gathered(
    query: Tensor, keys: Tensor, values: Tensor, metadata: AttentionMetadata,
    scaling: float | None, window: int | None,
) -> Tensor:  # fmt: skip
    """The same without the kernel; waits for the metadata."""
    output = query.new_zeros(*query.shape[:2], values.shape[-1])
    cu_seqlens_q, seqlens_k = metadata.cu_seqlens_q.tolist(), metadata.seqlens_k.tolist()
    for i, stop in enumerate(seqlens_k):
        rows = slice(cu_seqlens_q[i], cu_seqlens_q[i + 1])
        blocks = metadata.block_table[i, : -(-stop // BLOCK_SIZE)].long()
        sequence_keys, sequence_values = (
            stored[blocks].flatten(0, 1)[:stop].transpose(0, 1)[None] for stored in (keys, values)
        )
        positions = torch.arange(stop, device=query.device)
        row_positions = positions[stop - (rows.stop - rows.start) :, None]
        mask = positions <= row_positions
        if window:
            mask &= positions > row_positions - window
        attended = scaled_dot_product_attention(
            query[rows].transpose(0, 1)[None],
            sequence_keys,
            sequence_values,
            attn_mask=mask,
            scale=scaling,
            enable_gqa=query.shape[1] != keys.shape[2],
        )
        output[rows] = attended[0].transpose(0, 1)
    return output


@torch.inference_mode()
def kernel_agrees(shape: PoolShape, heads: int, adapters: StepAdapters) -> bool:
    """Say whether this machine has the kernel and it computes what gathering blocks does, for
    prompts and for single rows after them.
    """
    if shape.device.type != "cuda" or shape.dtype not in (torch.float16, torch.bfloat16):
        return False
    lengths = (5 * BLOCK_SIZE + 7, 3, BLOCK_SIZE)
    one_layer = PoolShape(1, shape.kv_heads, shape.head_dim, shape.dtype, shape.device)
    pool = BlockPool(one_layer, 16 * BLOCK_SIZE)
    prompts, decodes = [], []
    for length in lengths:
        cache = pool.new()
        pool.grow(cache, length + 1)
        prompts.append(ScheduledChunk(cache, [0] * length, 0, wants_logits=True))
        decodes.append(ScheduledChunk(cache, [0], length, wants_logits=True))
    return all(_agrees(pool, heads, chunks, adapters) for chunks in (prompts, decodes))


def _agrees(
    pool: BlockPool, heads: int, chunks: Sequence[ScheduledChunk], adapters: StepAdapters
) -> bool:
    """Compare both for a step of random queries, keys and values, padded by a row."""
    shape = pool.shape
    rows = sum(len(chunk.token_ids) for chunk in chunks) + 1
    metadata = AttentionMetadata.of(chunks, rows, shape.device)
    metadata = replace(metadata, max_seqlen_k=8 * BLOCK_SIZE)
    generator = torch.Generator(shape.device).manual_seed(0)
    query, key, value = (
        torch.randn(
            rows, count, shape.head_dim, generator=generator, dtype=shape.dtype, device=shape.device
        )
        for count in (heads, shape.kv_heads, shape.kv_heads)
    )
    results = []
    for use_kernel in (True, False):
        step = PagedStep(pool, metadata, adapters, use_kernel=use_kernel)
        try:
            results.append(step.attend(0, query, key, value, shape.head_dim**-0.5))
        except (RuntimeError, ValueError, NotImplementedError):
            return False
    by_kernel, gathered = results
    return torch.allclose(by_kernel, gathered, atol=0.02, rtol=0.02)
