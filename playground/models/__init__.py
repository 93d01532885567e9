"""What we load: catalogue, loader, tokenizers, adapters on disk, memory plan.

Knows no request, no scheduling and no face; engine and trainer borrow what it makes.
"""
