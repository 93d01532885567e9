"""Tool definitions and schemas from what people have: OpenAI tools, OpenAPI, Python source, examples."""
