"""llama.cpp's K quantizations, which only its own library writes (llama-cpp-python, not installed
with the playground: it is built from source).
"""

from importlib.util import find_spec
from pathlib import Path

from playground.errors import InvalidSettings, RequestFailed

LIBRARY = "llama_cpp"


def require_k_quants() -> None:
    """Raise `InvalidSettings` if the library is missing, with what to do instead."""
    if not find_spec(LIBRARY):
        raise InvalidSettings(
            "type: q4_k_m is written by llama.cpp's own library: pip install llama-cpp-python, or "
            "export f16 and run llama-quantize model.gguf out.gguf Q4_K_M"
        )


def quantize_file(source: Path, target: Path) -> None:
    """Write ``source``, a GGUF file in 16 or 32 bits, as Q4_K_M. Raises `RequestFailed`."""
    import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), parameters):
        raise RequestFailed(f"llama.cpp could not quantize {source.name}")
