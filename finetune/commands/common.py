"""Flags and lookups that several commands share. Heavy libraries are imported when they run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from playground.settings import load_settings

if TYPE_CHECKING:
    from finetune.recipe import Recipe
    from playground.models.loaded import LoadedModel
    from playground.models.tokenizer import ChatTokenizer

BAD_INPUT, FAILED_RUN = 1, 3
ROWS_HELP = "JSON lines, JSON, CSV, TSV, Parquet or plain text."
RowsFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=ROWS_HELP)]
RowsFiles = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help=ROWS_HELP)]
RecipeName = Annotated[str, typer.Option("--recipe", "-r", help="A preset, or a YAML file.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="The base model, instead of the recipe's.")
]
MaxLength = Annotated[
    int | None, typer.Option(min=16, help="Tokens; a longer row is named, not cut.")
]
EvalFraction = Annotated[
    float | None,
    typer.Option(min=0, max=0.9, help="TrainingPriority of the rows held out, by hash."),
]


def home() -> Path:
    """PLAYGROUND_HOME."""
    return load_settings().home


def tokenizer_of(model: str) -> "ChatTokenizer":
    """The base model's tokenizer, without its weights."""
    from playground.models.download import locate
    from playground.models.loader import load_tokenizer
    from playground.models.spec import ModelSpec

    return load_tokenizer(locate(ModelSpec(model), home()))


def base_of(recipe: "Recipe") -> "LoadedModel":
    """The recipe's base model, loaded."""
    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    spec = ModelSpec(
        recipe.base_model, precision=recipe.precision, quantization=recipe.quantization
    )
    return load(spec, home=home())


def adapter_folder(name: str) -> Path:
    """An adapter's folder: a path, NAME or NAME/VERSION of the store, or a finished run."""
    from playground.errors import InvalidSettings, UnknownAdapter
    from playground.store.adapters import AdapterStore
    from playground.studio.runs import find_run

    if (Path(name) / "adapter_config.json").is_file():
        return Path(name)
    try:
        return AdapterStore(home() / "adapters").find(name).folder
    except UnknownAdapter:
        pass
    run = find_run(home(), name)
    if run.adapter is None:
        raise InvalidSettings(f"run {run.folder.name} is not finished: {run.state}")
    return run.adapter
