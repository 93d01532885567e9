"""Tokens from the resident base: continuous batching on one thread that owns the model.

Knows no JSON schema, no HTTP and no widget.
"""

from playground.engine.engine import Engine, Limits

__all__ = ["Engine", "Limits"]
