"""Logging and garbage collector settings of the whole process.

Knows no model and no server: `playground.app` and the commands call it.
"""

import gc
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


def freeze_heap() -> None:
    """Exclude everything alive now from garbage collection; call once all is loaded.

    Libraries, weights and the page are some hundred thousand objects, which a full collection
    visits one by one: a quarter of a second in which no token leaves (docs/log.md). vLLM does the
    same after its start (vllm/utils/gc_utils.py).
    """
    gc.collect()
    gc.freeze()
