"""Weights as people have them (GGUF, Mistral's own format, FP8), made into a folder of safetensors
in 16 or 32 bits, once: what is loaded, trained and exported is that folder.
"""
