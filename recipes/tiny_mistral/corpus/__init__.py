"""Synthetic conversations, one module a task family. No outside data, no network.

Every row is drawn by a `Draw`, which knows the random generator and the split. What one split may
say (words, values, phrasings) the other never says: the pools are kept apart by construction.
"""

from recipes.tiny_mistral.corpus.draw import Draw, Split
from recipes.tiny_mistral.corpus.mixture import FAMILIES, Stage, draw_row
from recipes.tiny_mistral.corpus.rows import Call, Row, Turn

__all__ = ["FAMILIES", "Call", "Draw", "Row", "Split", "Stage", "Turn", "draw_row"]
