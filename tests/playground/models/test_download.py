"""Downloads from a hub that runs on this machine, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.models.catalogue import EMBEDDED_FOLDER
from tests.playground.models.hub import SHA, Hub, serving

REPOSITORY = "someone/tiny-mistral"
LOCATE = """
import sys
from pathlib import Path
from playground.errors import PlaygroundError
from playground.models.download import locate
from playground.models.spec import ModelSpec
source, revision, home = sys.argv[1:]
try:
    print(locate(ModelSpec(source, revision=revision or None), Path(home)))
except PlaygroundError as error:
    print(f"{type(error).__name__}: {error}")
"""


def locate(hub: Hub, home: Path, source: str = REPOSITORY, revision: str = "") -> tuple[str, str]:
    """What the download printed on stdout and on stderr."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [sys.executable, "-c", LOCATE, source, revision, str(home)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr, done.stderr


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "repository"
    folder.mkdir()
    for path in EMBEDDED_FOLDER.iterdir():
        if path.suffix in (".json", ".safetensors") and path.name != "examples.json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "consolidated.safetensors").write_bytes(b"the same weights again")
    with serving(Hub(REPOSITORY, folder)) as running:
        yield running


def test_snapshot_has_no_pickle(hub: Hub, tmp_path: Path) -> None:
    path, bars = locate(hub, tmp_path / "home")
    names = {each.name for each in Path(path).iterdir()}
    assert {"config.json", "model.safetensors", "tekken.json"} <= names
    assert not {"pytorch_model.bin", "consolidated.safetensors"} & names
    weights = (EMBEDDED_FOLDER / "model.safetensors").read_bytes()
    assert (Path(path) / "model.safetensors").read_bytes() == weights
    assert "100%" in bars


def test_interrupted_download_resumes(hub: Hub, tmp_path: Path) -> None:
    weights = bytes(25_000_000)  # more than two of the chunks in which the library writes
    (hub.folder / "model-00002.safetensors").write_bytes(weights)
    hub.cut.add("model-00002.safetensors")
    path, _ = locate(hub, tmp_path / "home")
    assert (Path(path) / "model-00002.safetensors").read_bytes() == weights
    first, second = hub.ranges["model-00002.safetensors"]
    assert first == 0
    assert 0 < second <= len(weights) // 2


def test_restarted_download_fetches_missing_files(hub: Hub, tmp_path: Path) -> None:
    hub.refused.add("model.safetensors")
    answer, _ = locate(hub, tmp_path / "home")
    assert answer.startswith("ModelLoadError: the hub returned an error for " + REPOSITORY)
    hub.refused.clear()
    path, _ = locate(hub, tmp_path / "home")
    assert (Path(path) / "model.safetensors").is_file()
    assert {name: len(starts) for name, starts in hub.ranges.items()} == dict.fromkeys(
        hub.ranges, 1
    )


def test_revision_is_pinned_by_commit(hub: Hub, tmp_path: Path) -> None:
    path, _ = locate(hub, tmp_path / "home", revision=SHA)
    assert Path(path).name == SHA


def test_downloaded_model_needs_no_hub(hub: Hub, tmp_path: Path) -> None:
    there, _ = locate(hub, tmp_path / "home")
    again, _ = locate(Hub("", tmp_path, endpoint="http://127.0.0.1:9"), tmp_path / "home")
    assert again == there


def test_gated_repository_says_what_to_do(hub: Hub, tmp_path: Path) -> None:
    hub.gated = True
    answer, _ = locate(hub, tmp_path / "home")
    assert answer.startswith("GatedModel: ")
    assert "HF_TOKEN" in answer


def test_unknown_repository_is_named(hub: Hub, tmp_path: Path) -> None:
    answer, _ = locate(hub, tmp_path / "home", source="someone/else")
    assert answer.startswith("NoSuchModel: the hub has no repository someone/else")


def test_unknown_revision_is_named(hub: Hub, tmp_path: Path) -> None:
    answer, _ = locate(hub, tmp_path / "home", revision="v99")
    assert answer.startswith(f"NoSuchModel: {REPOSITORY} has no revision 'v99'")


def test_missing_network_is_reported(hub: Hub, tmp_path: Path) -> None:
    nowhere = Hub("", tmp_path, endpoint="http://127.0.0.1:9")
    answer, _ = locate(nowhere, tmp_path / "home")
    assert answer.startswith(f"NoNetwork: {REPOSITORY} is not on this disk")
