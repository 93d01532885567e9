"""A small product catalogue that no model knows, and a recipe that learns it in seconds."""

from tests.finetune.conftest import catalogue, facts, quick

__all__ = ["catalogue", "facts", "quick"]
