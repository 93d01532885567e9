"""Evaluation: metrics, a judge, held-out loss, and the report card made of them.

Knows no training format, no page and no HTTP.
"""
