"""Models on disk and in memory: catalogue, loader, tokenizers, adapters, memory plan.

Knows no request, no scheduling and no user interface. Engine and trainer share what it loads.
"""
