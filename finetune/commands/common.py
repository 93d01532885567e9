"""Options and lookups that several commands share. Heavy libraries are imported when they run."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from playground.settings import load_settings

if TYPE_CHECKING:
    from finetune.recipe import Recipe
    from finetune.training.processes import Processes
    from playground.models.loaded import LoadedModel
    from playground.models.tokenizer import ChatTokenizer
    from playground.models.unloaded import UnloadedBase

BAD_INPUT, FAILED_RUN = 1, 3
ROWS_HELP = "JSON lines, JSON, CSV, TSV, Parquet or plain text."
RowsFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=ROWS_HELP)]
RowsFiles = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help=ROWS_HELP)]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe", "-r", help="A preset, or a YAML file; by default what suits the base model."
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Base model, instead of the recipe's.")
]
EvaluationFile = Annotated[
    Path | None,
    typer.Option("--eval", exists=True, dir_okay=False, help="Separate evaluation file."),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=16,
        help="Maximum tokens of a row. Longer rows are reported and skipped, never truncated.",
    ),
]
EvalFraction = Annotated[
    float | None,
    typer.Option(min=0, max=0.9, help="Fraction of the rows held out for evaluation."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="FIELD=VALUE: change a field of the recipe; may be repeated."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="COLUMN=FIELD,…: fields of other names, as in question=prompt,answer=completion."
    ),
]


def show_progress(rows: int) -> None:
    """Show on a terminal how many rows are read, in one line that the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r{rows:,} rows", end="\r", file=sys.stderr, flush=True)


def home() -> Path:
    """Return PLAYGROUND_HOME."""
    return load_settings().home


def recipe_of(name: str | None, changes: Mapping[str, object]) -> "Recipe":
    """Read a recipe with changes, of which None leaves a field; without a name, the recipe that
    suits the base model, which is the settings' model if none is given.

    Raises `InvalidSettings`, and what `locate` raises for a base that is not known.
    """
    from finetune.presets import recipe_for
    from finetune.recipe import read_recipe, with_changes

    if name:
        return read_recipe(name, changes)
    base = str(changes.get("base_model") or load_settings().model.name)
    return with_changes(recipe_for(base, home=home()), changes)


def tokenizer_of(model: str) -> "ChatTokenizer":
    """Load the base model's tokenizer, without its weights."""
    from playground.models.download import locate
    from playground.models.loader import load_tokenizer
    from playground.models.spec import ModelSpec

    return load_tokenizer(locate(ModelSpec(model), home()))


def check_job(name: str, recipe: "Recipe") -> None:
    """Check the adapter's name, and load the public tasks that its recipe names, before training.

    Raises `InvalidSettings` for the name of the base, or one that names the task.
    """
    from playground.models.catalogue import check_not_base
    from playground.models.config import read_config
    from playground.models.download import locate
    from playground.models.loader import context_length_of
    from playground.models.spec import ModelSpec
    from playground.studio.public_tasks import check_public_tasks

    check_not_base(name, recipe.base_model)
    if recipe.eval_tasks:
        spec = ModelSpec(recipe.base_model)
        window = context_length_of(spec, read_config(locate(spec, home())))
        check_public_tasks(recipe, load_settings().sweeps.task_folders, window)


def base_of(recipe: "Recipe", processes: "Processes | None" = None) -> "LoadedModel":
    """Load the recipe's base model; of several processes each onto its own device."""
    from playground.models.download import locate
    from playground.models.loader import load
    from playground.models.spec import ModelSpec

    spec = ModelSpec(
        recipe.base_model,
        precision=recipe.precision,
        quantization=recipe.quantization,
        device=processes.device if processes else "auto",
    )
    if processes:
        processes.on_first(lambda: locate(spec, home()))  # downloaded and converted once
    return load(spec, home=home())


def adapter_folder(name: str) -> Path:
    """Find an adapter's folder: a path, NAME, NAME/VERSION or NAME.VERSION of the store, or a
    finished run.
    """
    from playground.errors import InvalidSettings, UnknownAdapter
    from playground.models.adapters import CONFIG_FILE
    from playground.store.adapters import AdapterStore
    from playground.studio.model_names import parse_version_name
    from playground.studio.runs import find_run

    if (Path(name) / CONFIG_FILE).is_file():
        return Path(name)
    store = AdapterStore(home() / "adapters")
    for found in ((name, None), parse_version_name(name)):
        if found:
            with suppress(UnknownAdapter):
                return store.find(*found).folder
    try:
        run = find_run(home(), name)
    except InvalidSettings:
        raise UnknownAdapter(name, store.names()) from None
    if run.adapter is None:
        raise InvalidSettings(f"run {run.folder.name} is not finished: {run.state}")
    return run.adapter


def recipe_changes(pairs: list[str] | None, **options: object) -> dict[str, object]:
    """Return the recipe's fields that options and ``--set`` change."""
    import yaml

    from playground.errors import InvalidSettings

    changes = {name: value for name, value in options.items() if value is not None}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not sign:
            raise InvalidSettings(f"--set {pair}: write FIELD=VALUE")
        try:
            changes[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InvalidSettings(f"--set {pair}: the value is not YAML") from None
    return changes


def check_base(folder: Path, name: str, model: str | None = None) -> None:
    """Check an adapter and the name that it is to have against ``model``, or the base that it
    names, or the server's.

    Raises what `read_adapter` and `check_fits` raise, `InvalidSettings` for an unknown ``model``
    and for the name of the base.
    Says on stderr what could not be compared.
    """
    from playground.errors import InvalidSettings, WrongBase
    from playground.models.adapters import check_fits, read_adapter
    from playground.models.catalogue import check_not_base

    adapter = read_adapter(folder, "adapter")
    named = [adapter.card.get("base"), adapter.config.get("base_model_name_or_path")]
    own = [str(source) for source in named if source]
    sources = [model] if model else [*own, load_settings().model.name]
    for source in sources:
        check_not_base(name, source)
    for source in sources:
        base = _find_base(source)
        if base is None:
            continue
        try:
            check_fits(adapter, base)
        except WrongBase as error:
            problem = f"{error.message} (checked against {source}; --model names another)"
            raise WrongBase(problem) from None
        if not base.weights_hash:
            print(f"{source} is not on this disk: only shapes were compared", file=sys.stderr)
        elif not adapter.card.get("base_hash"):
            print(
                f"its base is not named by hash: {source} fits by shape",
                file=sys.stderr,
            )
        return
    if model:
        raise InvalidSettings(f"--model {model}: no catalogue name, and not on this disk")
    print("not checked against its base: none of its names is known here", file=sys.stderr)


def _find_base(source: str) -> "UnloadedBase | None":
    from playground.errors import ModelLoadError
    from playground.models.unloaded import find_base

    try:
        return find_base(source, home())
    except ModelLoadError:
        return None
