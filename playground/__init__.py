"""A self-hosted playground and fine-tuning studio for Mistral-Small-24B and other causal LMs."""

__version__ = "0.2.0"
