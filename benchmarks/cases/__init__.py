"""Requests that programs really send, and what is right for each.

    python -m benchmarks.cases [FOLDER] [--url URL]

Sends our own variants over all kinds to a playground that it starts, and, with FOLDER, every
``*.json`` there: a ``request`` with method, path, headers and body. Prints how many were tried and
how many were answered as they should be.
"""
