"""Adapters in the forms that other programs load: PEFT, merged weights, GGUF, Ollama, vLLM.

Knows no store, no running server and no HTTP: it reads folders and writes one.
"""
