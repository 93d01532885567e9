"""`finetune export`: an adapter in the form that another program loads."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.commands.common import adapter_folder, home

TO_HELP = "peft, merged (bf16), gguf, ollama or vllm."
TYPE_HELP = (
    "Matrices of a GGUF file: f16, bf16, f32, q8_0, q5_1, q5_0, q4_1, q4_0; q4_k_m with "
    "llama-cpp-python."
)


def export(
    adapter: Annotated[str, typer.Argument(help="NAME, NAME.vN, a folder or a run.")],
    to: Annotated[str, typer.Option(help=TO_HELP)],
    out: Annotated[
        Path | None, typer.Option(help="New folder; by default one named after the adapter.")
    ] = None,
    gguf_type: Annotated[str, typer.Option("--type", help=TYPE_HELP)] = "f16",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Base, instead of the one it was trained on: its unquantized original, say.",
        ),
    ] = None,
) -> None:
    """Write an adapter as a PEFT folder, merged weights, GGUF, or a folder for Ollama or vLLM.

    Adapters are merged into 16 bits, never into 4: rounding again would lose what they add.
    """
    from playground.models.export.export import export as write
    from playground.models.export.request import make_request

    folder = adapter_folder(adapter)
    request = make_request(folder, to, home(), out=out, gguf_type=gguf_type, model=model)
    exported = write(request)
    print(exported.folder)
    for note in exported.notes:
        print(f"note: {note}")
    print(exported.command)
