"""The local backend: this machine's engine behind the protocol.

It renders messages, compiles tools and schemas to grammars, drives the engine, which knows token
ids only, and reads text and calls back.
"""

from playground.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
