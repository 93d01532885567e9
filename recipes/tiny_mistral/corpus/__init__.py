"""Synthetic conversations, one module per task family. No outside data, no network.

Every row is drawn by a `Draw`, which holds the random generator and the split. Words, values and
phrasings of one split never occur in the other: the pools are disjoint by construction.
"""

from recipes.tiny_mistral.corpus.draw import Draw, Split
from recipes.tiny_mistral.corpus.mixture import FAMILIES, Stage, draw_row
from recipes.tiny_mistral.corpus.rows import CorpusCall, CorpusRow, CorpusTurn

__all__ = [
    "FAMILIES",
    "CorpusCall",
    "CorpusRow",
    "CorpusTurn",
    "Draw",
    "Split",
    "Stage",
    "draw_row",
]
