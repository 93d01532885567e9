"""Recipes of assets that ship with the playground; run from a checkout, not in the wheel."""
