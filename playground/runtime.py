"""Noise of libraries, imports and garbage collection, set once for the whole process.

Knows no model and no server: `playground.server` and the commands call it.
"""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import cast

ALWAYS = gc.get_threshold()
AT_START = 2_000_000
"""New objects after which garbage is looked for: more than all libraries make."""


def quiet_libraries() -> None:
    """Turn off telemetry and warnings of libraries. Call it before importing them."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # Gradio 6.31 computes a table of all past events after each event, for a page nobody opens.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**12))
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


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let what is imported inside do without a module that it takes if it is installed.

    Nothing changes if the module is imported already.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = cast("ModuleType", None)  # an import of it raises ImportError
    try:
        yield
    finally:
        sys.modules.pop(module, None)


@contextmanager
def replaced_at_import(module: str, name: str, value: object) -> Iterator[None]:
    """Replace a function of a module that is imported inside, before other modules take it."""
    finder = _ReplacingFinder(module, name, value)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _ReplacingFinder(MetaPathFinder):
    def __init__(self, module: str, name: str, value: object) -> None:
        self._module = module
        self._name = name
        self._value = value

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the one module; its loader replaces the name once it has executed it."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._module else None
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_replace(module: ModuleType) -> None:
                execute(module)
                setattr(module, self._name, self._value)

            spec.loader.exec_module = execute_and_replace  # type: ignore[method-assign]
        return spec


def delay_collection() -> None:
    """Look for garbage less often until `freeze_heap` or `collect_as_usual`: what imports make is
    none, and to look through it again and again takes a fifth of a command's start.
    """
    gc.set_threshold(AT_START)


def collect_as_usual() -> None:
    """Look for garbage as often as Python does."""
    gc.set_threshold(*ALWAYS)


def freeze_heap() -> None:
    """Exclude all present objects from garbage collection, and look for garbage as often as Python
    does. Call it once everything is loaded.

    A full collection visits some hundred thousand objects of libraries, weights and page, and no
    token leaves meanwhile (docs/log.md, "A quarter of a second in which nothing left"). vLLM does
    the same after its start (vllm/utils/gc_utils.py).
    """
    gc.collect()
    gc.freeze()
    collect_as_usual()
