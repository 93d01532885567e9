"""Structured output: JSON schema → grammar and its fallback levels, and the grammar of tool calls.

Knows no engine, no HTTP and no widget.
"""
