"""Rows: read, checked, split, tokenized. Knows no trainer."""
