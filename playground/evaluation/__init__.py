"""Grades answers: metrics, a judge, held-out loss, and the report card made of them.

Knows no page and no HTTP.
"""
