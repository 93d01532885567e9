"""The line that serves an adapter with vLLM: LoRA modules, and parsers of tool calls.

Flags are those of vLLM's documentation (features/lora, features/tool_calling).
"""

import shlex
from pathlib import Path

from playground.errors import UnsupportedModel
from playground.models.call_formats import CallFormatName

LAUNCH_FILE = "serve.sh"
MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for ``--max-lora-rank`` (vllm/config/lora.py, ``MaxLoRARanks``)."""
CALL_PARSERS = {"mistral": "mistral", "hermes": "hermes", "llama3": "llama3_json"}


def launch_line(
    base: str,
    name: str,
    adapter: str,
    rank: int,
    call_format: CallFormatName | None,
    *,
    has_tekken: bool,
    reasons: bool,
    context_length: int,
) -> str:
    """Return the command. ``adapter`` is the PEFT folder; ``reasons`` where the template has
    thinking blocks. Raises `UnsupportedModel` for a rank that vLLM does not serve.
    """
    allowed = [each for each in MAX_RANKS if each >= rank]
    if not allowed:
        raise UnsupportedModel(f"vLLM serves LoRA ranks to {MAX_RANKS[-1]}, and this has {rank}")
    words = ["vllm", "serve", base, "--max-model-len", str(context_length)]
    words += ["--enable-lora", "--lora-modules", f"{name}={adapter}"]
    words += ["--max-lora-rank", str(allowed[0])]
    if has_tekken:
        words += ["--tokenizer-mode", "mistral"]
    if call_format in CALL_PARSERS:
        words += ["--enable-auto-tool-choice", "--tool-call-parser", CALL_PARSERS[call_format]]
    if reasons:
        words += ["--reasoning-parser", "mistral"]
    return shlex.join(words)


def script(line: str) -> str:
    """Return a shell script that runs the line from its own folder."""
    return (
        f'#!/bin/sh\n# Serves the adapter beside this file.\ncd "$(dirname "$0")" || exit\n{line}\n'
    )


def is_local(base: str) -> bool:
    """Whether a base is a folder, whose path has to be absolute in the script."""
    return Path(base).expanduser().is_dir()
