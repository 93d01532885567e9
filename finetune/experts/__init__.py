"""Experts: from a file of rows to a LoRA adapter with a card.

Rows → views → training steps → adapter. Imports only what loads models and what all floors share;
knows no engine, no page and no API.
"""
