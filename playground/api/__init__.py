"""The HTTP face: OpenAI's API, and Together's where it differs."""

from playground.api.app import create_api

__all__ = ["create_api"]
