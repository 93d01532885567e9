"""From a name to a folder on this disk: the catalogue, a local folder, or a hub snapshot.

Downloads only what loading needs, resumes what was interrupted, and never runs or unpickles
anything that comes from a hub.
"""

from pathlib import Path
from typing import Any

from huggingface_hub import scan_cache_dir, snapshot_download
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

NEEDED = ("*.json", "*.safetensors", "tokenizer.model", "*.jinja")
NOT_NEEDED = ("consolidated*", "original/*", "*/*")


def locate(spec: ModelSpec, home: Path | None = None, progress: type[Any] | None = None) -> Path:
    """The folder that holds the model's files, downloaded if need be.

    ``home`` is where downloads are kept (its ``models`` folder); None is the hub's own cache.
    ``progress`` is a tqdm class; None is tqdm's bars on stderr. Raises `NoSuchModel`,
    `GatedModel`, `NoNetwork`.
    """
    entry = find(spec.source)
    source = entry.source if entry else spec.source
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or source.startswith((".", "~")) or source.count("/") != 1:
        known = ", ".join(each.name for each in entries())
        raise NoSuchModel(
            f"{spec.source!r} is no catalogue name ({known}), no folder and no hub id"
        )
    return _download(source, spec.revision, home, progress)


def downloaded(home: Path) -> list[tuple[str, int]]:
    """Hub ids of the repositories under ``home``, each with its bytes on disk."""
    folder = home / "models"
    if not folder.is_dir():
        return []
    repositories = scan_cache_dir(folder).repos
    return sorted((each.repo_id, each.size_on_disk) for each in repositories)


def _download(
    repository: str, revision: str | None, home: Path | None, progress: type[Any] | None
) -> Path:
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                cache_dir=home / "models" if home else None,
                allow_patterns=list(NEEDED),
                ignore_patterns=list(NOT_NEEDED),
                tqdm_class=progress,
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
            raise _refusal(repository, error.__cause__) from error
        raise NoNetwork(
            f"{repository} is not on this disk and the hub cannot be reached; connect, or give "
            "--model a local folder"
        ) from error
    except HfHubHTTPError as error:
        raise _refusal(repository, error) from error


def _refusal(repository: str, error: HfHubHTTPError) -> ModelLoadError:
    reason = " ".join(str(error).split())
    return ModelLoadError(f"the hub answered with an error for {repository}: {reason}")
