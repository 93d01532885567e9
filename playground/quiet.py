"""Keeps other libraries quiet: no telemetry, and nothing of theirs among our own lines."""

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Call before importing them."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # in a notebook, that its bars will be plain text
    warnings.filterwarnings("ignore", message="IProgress not found")
    # at import it tells which optional kernels it does without
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # transformers warns of its own name for it, at every training
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
    logging.getLogger("alembic").setLevel(logging.WARNING)
