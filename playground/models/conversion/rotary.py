"""The order of rows that rotary embeddings turn together."""

from torch import Tensor


def half_split(weight: Tensor, heads: int) -> Tensor:
    """Return a projection's rows ``[heads * width, inputs]`` in transformers' order.

    Stored, neighbouring rows of a head turn together; there, row i and row i + width / 2 do.
    """
    pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape).contiguous()
