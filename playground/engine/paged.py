"""Keys and values in pages, and attention over them: the way of GPUs, whose kernels follow a table.

One pool holds the pages of all sequences. A step's tables say where each row's keys and values go
and which pages each sequence reads, so that one call a layer attends all rows and its tensors can
stay where they are from step to step (`graphs`). Source: vLLM's PagedAttention (arXiv:2309.06180);
the kernel is FlashAttention's in torch (`torch.nn.attention.varlen`). Where there is none, pages
are gathered and attended sequence by sequence, which is slower and right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention

from playground.engine.batch import Piece
from playground.engine.kv_cache import CacheBudget, SequenceCache

PAGE = 256
"""Tokens; FlashAttention 2 takes no pages but whole multiples of it."""
SPARE = 0
"""The page that rows of no sequence write to."""


@dataclass(frozen=True, slots=True)
class PoolShape:
    """What a token's keys and values are in every layer."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device


class PagedCache(SequenceCache):
    """One sequence's pages, in order; ``capacity`` is what they hold."""

    def __init__(self, pool: "PagePool") -> None:
        super().__init__()
        self._pool = pool
        self.pages: list[int] = []

    def copy_from(self, other: SequenceCache, tokens: int) -> None:
        """See `SequenceCache`; whole pages are copied."""
        assert isinstance(other, PagedCache)
        count = -(-tokens // PAGE)
        with torch.inference_mode():
            self._pool.copy(other.pages[:count], self.pages[:count])

    def place(self, position: int) -> int:
        """Where in the pool a token's keys and values lie."""
        return self.pages[position // PAGE] * PAGE + position % PAGE


class PagePool(CacheBudget):
    """The budget of a GPU: as many pages as ``tokens`` fill, made at once."""

    def __init__(self, shape: PoolShape, tokens: int) -> None:
        pages = max(1, tokens // PAGE)
        super().__init__(total=pages * PAGE)
        self.shape = shape
        self._free = list(range(pages, SPARE, -1))
        self._stored = torch.zeros(
            2 * shape.layers,
            pages + 1,
            PAGE,
            shape.kv_heads,
            shape.head_dim,
            dtype=shape.dtype,
            device=shape.device,
        )

    def new(self) -> PagedCache:
        """A cache without pages."""
        return PagedCache(self)

    def fits(self, cache: SequenceCache, capacity: int) -> bool:
        """See `CacheBudget`."""
        return self._missing(cache, capacity) <= len(self._free)

    def grow(self, cache: SequenceCache, capacity: int) -> None:
        """Give ``cache`` pages for ``capacity`` tokens."""
        assert isinstance(cache, PagedCache)
        for _ in range(self._missing(cache, capacity)):
            cache.pages.append(self._free.pop())
        self.used += len(cache.pages) * PAGE - cache.capacity
        cache.capacity = len(cache.pages) * PAGE

    def release(self, cache: SequenceCache) -> None:
        """Take its pages back."""
        assert isinstance(cache, PagedCache)
        super().release(cache)
        self._free += cache.pages
        cache.pages, cache.capacity = [], 0

    def layer(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, each ``[pages, PAGE, kv_heads, head_dim]``."""
        return self._stored[2 * layer], self._stored[2 * layer + 1]

    def copy(self, source: Sequence[int], target: Sequence[int]) -> None:
        """Copy pages."""
        where = torch.tensor([list(source), list(target)], device=self.shape.device)
        self._stored[:, where[1]] = self._stored[:, where[0]]

    @staticmethod
    def _missing(cache: SequenceCache, capacity: int) -> int:
        assert isinstance(cache, PagedCache)
        return max(0, -(-capacity // PAGE) - len(cache.pages))


@dataclass(slots=True)
class Tables:
    """A step as tensors. ``places`` ``[rows]`` is where each row's keys and values go; ``begins``
    ``[sequences + 1]`` at which row each sequence starts; ``used`` ``[sequences]`` its tokens so
    far and ``begins_k`` ``[sequences + 1]`` their sums; ``pages`` ``[sequences, most]``.
    """

    places: Tensor
    begins: Tensor
    used: Tensor
    begins_k: Tensor
    pages: Tensor

    @classmethod
    def of(cls, pieces: Sequence[Piece], rows: int, device: torch.device) -> "Tables":
        """Of a step that is padded to ``rows``; the padding belongs to one more sequence."""
        places: list[int] = []
        begins, used, tables = [0], [], []
        for piece in pieces:
            cache = piece.cache
            assert isinstance(cache, PagedCache)
            stop = piece.start + len(piece.token_ids)
            places += map(cache.place, range(piece.start, stop))
            begins.append(len(places))
            used.append(stop)
            tables.append(cache.pages[: -(-stop // PAGE)])
        for _ in range(rows - len(places)):
            places.append(SPARE * PAGE)
            begins.append(len(places))
            used.append(1)
            tables.append([SPARE])
        most = max(map(len, tables))
        sums = [0]
        for each in used:
            sums.append(sums[-1] + each)
        padded = [each + [SPARE] * (most - len(each)) for each in tables]
        return cls(
            torch.tensor(places, device=device),
            *(
                torch.tensor(each, dtype=torch.int32, device=device)
                for each in (begins, used, sums, padded)
            ),
        )


class PagedStep:
    """What a `Forward` asks of attention (`PackedStep`), over a pool.

    ``longest`` bounds the tokens of any sequence and ``widest`` the rows of any. The kernel may
    divide a long sequence's keys among a GPU's processors only where every sequence has one row,
    with neither window nor causal mask, and several heads share their keys: there it moves those
    heads to where a prompt's rows would be. Elsewhere torch 2.13 would write what it divided to the
    first sequence's rows, whosever it is (pytorch/pytorch issue 194167).
    """

    def __init__(
        self, pool: PagePool, tables: Tables, *, longest: int, widest: int, kernel: bool
    ) -> None:
        self.longest = longest
        self._pool = pool
        self._tables = tables
        self._widest = widest
        self._kernel = kernel

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float | None,
        window: int | None = None,
    ) -> Tensor:
        """See `PackedStep.attend`."""
        keys, values = self._pool.layer(layer)
        keys.view(-1, *key.shape[1:]).index_copy_(0, self._tables.places, key)
        values.view(-1, *value.shape[1:]).index_copy_(0, self._tables.places, value)
        if not self._kernel:
            return _attend_gathered(query, keys, values, self._tables, scaling, window)
        splits = self._widest == 1 and not window and query.shape[1] > key.shape[1]
        before = window - 1 if window else -1
        attended = varlen_attn(
            query,
            keys,
            values,
            self._tables.begins,
            self._tables.begins_k,
            self._widest,
            self.longest,
            scale=scaling,
            window_size=(-1, -1) if splits else (before, 0),  # nothing follows a single row
            enable_gqa=query.shape[1] != key.shape[1],
            seqused_k=self._tables.used,
            block_table=self._tables.pages,
            num_splits=None if splits else 1,
        )
        assert isinstance(
            attended, Tensor
        )  # the log-sum-exp, which would come beside, is not wanted
        return attended


def _attend_gathered(
    query: Tensor, keys: Tensor, values: Tensor, tables: Tables, scaling: float | None,
    window: int | None,
) -> Tensor:  # fmt: skip
    """The same without the kernel; waits for the tables."""
    output = query.new_zeros(*query.shape[:2], values.shape[-1])
    begins, used = tables.begins.tolist(), tables.used.tolist()
    for own, stop in enumerate(used):
        rows = slice(begins[own], begins[own + 1])
        pages = tables.pages[own, : -(-stop // PAGE)].long()
        mine, theirs = (
            each[pages].flatten(0, 1)[:stop].transpose(0, 1)[None] for each in (keys, values)
        )
        place = torch.arange(stop, device=query.device)
        asking = place[stop - (rows.stop - rows.start) :, None]
        mask = place <= asking
        if window:
            mask &= place > asking - window
        attended = scaled_dot_product_attention(
            query[rows].transpose(0, 1)[None],
            mine,
            theirs,
            attn_mask=mask,
            scale=scaling,
            enable_gqa=query.shape[1] != keys.shape[2],
        )
        output[rows] = attended[0].transpose(0, 1)
    return output


@torch.inference_mode()
def kernel_agrees(shape: PoolShape, heads: int) -> bool:
    """Whether this machine has the kernel and it computes what is computed without it, for prompts
    and for single rows after them.
    """
    if shape.device.type != "cuda" or shape.dtype not in (torch.float16, torch.bfloat16):
        return False
    lengths = (5 * PAGE + 7, 3, PAGE)
    one = PoolShape(1, shape.kv_heads, shape.head_dim, shape.dtype, shape.device)
    pool = PagePool(one, 16 * PAGE)
    caches = [pool.new() for _ in lengths]
    for cache, length in zip(caches, lengths, strict=True):
        pool.grow(cache, length + 1)
    prompts = [Piece(own, [0] * end, 0, True) for own, end in zip(caches, lengths, strict=True)]
    singles = [Piece(own, [0], end, True) for own, end in zip(caches, lengths, strict=True)]
    return all(_agrees(pool, heads, pieces) for pieces in (prompts, singles))


def _agrees(pool: PagePool, heads: int, pieces: Sequence[Piece]) -> bool:
    """For a step of random queries, keys and values, padded by a row."""
    shape, widest = pool.shape, max(len(piece.token_ids) for piece in pieces)
    rows = sum(len(piece.token_ids) for piece in pieces) + 1
    tables = Tables.of(pieces, rows, shape.device)
    generator = torch.Generator(shape.device).manual_seed(0)
    query, key, value = (
        torch.randn(
            rows, count, shape.head_dim, generator=generator, dtype=shape.dtype, device=shape.device
        )
        for count in (heads, shape.kv_heads, shape.kv_heads)
    )
    answers = []
    for kernel in (True, False):
        step = PagedStep(pool, tables, longest=8 * PAGE, widest=widest, kernel=kernel)
        try:
            answers.append(step.attend(0, query, key, value, shape.head_dim**-0.5))
        except (RuntimeError, ValueError, NotImplementedError):
            return False
    ours, theirs = answers
    return torch.allclose(ours, theirs, atol=0.02, rtol=0.02)
