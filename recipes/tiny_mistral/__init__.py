"""The recipe of the tiny Mistral that ships with the playground.

corpus → tokenizer → structured initialisation → pre-training → evaluation → published folder.
``finetune embedded build`` runs all of it; each step can be run alone.
"""
