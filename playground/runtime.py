"""Logging and garbage collection, set once for the whole process.

Knows no model and no server: `playground.app` and the commands call it.
"""

import gc
import logging
import os
import warnings


def quiet_libraries() -> None:
    """Turn off telemetry and warnings of libraries. Call it before importing them."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # tqdm, in a notebook without ipywidgets
    warnings.filterwarnings("ignore", message="IProgress not found")
    # names its missing optional kernels at import
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # peft and trl still set it, so that transformers warns in every training
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
    logging.getLogger("alembic").setLevel(logging.WARNING)


def freeze_heap() -> None:
    """Exclude all present objects from garbage collection. Call it once everything is loaded.

    A full collection visits some hundred thousand objects of libraries, weights and page, and no
    token leaves meanwhile (docs/log.md, "A quarter of a second in which nothing left"). vLLM does
    the same after its start (vllm/utils/gc_utils.py).
    """
    gc.collect()
    gc.freeze()
