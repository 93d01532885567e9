"""Chat, function calling and JSON: a request in the field's terms becomes text, calls or values.

Knows no HTTP, no widget and no tensor.
"""
