"""An Ollama folder: the base and the adapter as GGUF files, and a Modelfile that joins them.

The Modelfile follows Ollama's documentation (docs/modelfile.mdx): FROM, ADAPTER, TEMPLATE,
PARAMETER.
"""

from playground.models.export.chat_templates import GO_TEMPLATES
from playground.protocol import Sampling

BASE_FILE, ADAPTER_FILE, MODELFILE = "base.gguf", "adapter.gguf", "Modelfile"


def modelfile(
    sampling: Sampling, context_length: int, stops: list[str], version: str | None
) -> str:
    """Return a Modelfile. ``version`` is that of the tekken file; without one, or for one whose
    template is not written in Go's form, Ollama takes the template that the GGUF file carries.
    """
    lines = [f"FROM ./{BASE_FILE}", f"ADAPTER ./{ADAPTER_FILE}"]
    if template := GO_TEMPLATES.get(version or ""):
        lines.append(f'TEMPLATE """{template}"""')
    lines += [f"PARAMETER {name} {value}" for name, value in _parameters(sampling, context_length)]
    lines += [f'PARAMETER stop "{stop}"' for stop in (*stops, *sampling.stop)]
    return "\n".join(lines) + "\n"


def _parameters(sampling: Sampling, context_length: int) -> list[tuple[str, float | int]]:
    """Ollama's own defaults differ from "off": what decides the answer is always written."""
    written: list[tuple[str, float | int]] = [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
        ("min_p", sampling.min_p),
        ("repeat_penalty", sampling.repetition_penalty),
        ("num_ctx", context_length),
    ]
    if sampling.max_tokens is not None:
        written.append(("num_predict", sampling.max_tokens))
    if sampling.seed is not None:
        written.append(("seed", sampling.seed))
    return written
