"""Backends that are not the local engine."""
