"""The recipe of the tiny Mistral that ships with the playground.

corpus → tokenizer → structured initialization → pre-training → published folder → evaluation.
``python -m recipes.tiny_mistral`` runs all of it; each step can be run alone.
"""
