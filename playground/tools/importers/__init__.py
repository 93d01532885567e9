"""Importers of tools and schemas: OpenAI tools, OpenAPI, Python source, example values."""
