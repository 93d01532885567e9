"""Downloads from a hub that runs on this machine.

Two processes serve the whole module: one whose hub each test swaps for its own, and one without a
network.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.models.catalogue import EMBEDDED_FOLDER
from tests.playground.models.hub import SHA, Hub, HubServer, serving
from tests.playground.models.locating import Downloader, downloading

pytestmark = pytest.mark.slow

REPOSITORY = "someone/tiny-mistral"
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def online(server: HubServer) -> Iterator[Downloader]:
    with downloading(server.endpoint) as downloader:
        yield downloader


@pytest.fixture(scope="module")
def offline() -> Iterator[Downloader]:
    with downloading(UNREACHABLE) as downloader:
        yield downloader


@pytest.fixture
def hub(server: HubServer, tmp_path: Path) -> Hub:
    folder = tmp_path / "repository"
    folder.mkdir()
    for path in EMBEDDED_FOLDER.iterdir():
        if path.suffix in (".json", ".safetensors") and path.name != "examples.json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "consolidated.safetensors").write_bytes(b"the same weights again")
    server.hub = Hub(REPOSITORY, folder)
    return server.hub


def test_snapshot_has_no_pickle(hub: Hub, online: Downloader, tmp_path: Path) -> None:
    path, bars = online.locate(tmp_path / "home", REPOSITORY)
    names = {each.name for each in Path(path).iterdir()}
    assert {"config.json", "model.safetensors", "tekken.json"} <= names
    assert not {"pytorch_model.bin", "consolidated.safetensors"} & names
    weights = (EMBEDDED_FOLDER / "model.safetensors").read_bytes()
    assert (Path(path) / "model.safetensors").read_bytes() == weights
    assert "100%" in bars


def test_interrupted_download_resumes(hub: Hub, online: Downloader, tmp_path: Path) -> None:
    weights = bytes(25_000_000)  # more than two of the chunks in which the library writes
    (hub.folder / "model-00002.safetensors").write_bytes(weights)
    hub.cut.add("model-00002.safetensors")
    path, _ = online.locate(tmp_path / "home", REPOSITORY)
    assert (Path(path) / "model-00002.safetensors").read_bytes() == weights
    first, second = hub.ranges["model-00002.safetensors"]
    assert first == 0
    assert 0 < second <= len(weights) // 2


def test_restarted_download_fetches_missing_files(
    hub: Hub, online: Downloader, tmp_path: Path
) -> None:
    hub.refused.add("model.safetensors")
    answer, _ = online.locate(tmp_path / "home", REPOSITORY)
    assert answer.startswith("ModelLoadError: the hub returned an error for " + REPOSITORY)
    hub.refused.clear()
    path, _ = online.locate(tmp_path / "home", REPOSITORY)
    assert (Path(path) / "model.safetensors").is_file()
    assert {name: len(starts) for name, starts in hub.ranges.items()} == dict.fromkeys(
        hub.ranges, 1
    )


def test_revision_is_pinned_by_commit(hub: Hub, online: Downloader, tmp_path: Path) -> None:
    path, _ = online.locate(tmp_path / "home", REPOSITORY, revision=SHA)
    assert Path(path).name == SHA


def test_downloaded_model_needs_no_hub(
    hub: Hub, online: Downloader, offline: Downloader, tmp_path: Path
) -> None:
    there, _ = online.locate(tmp_path / "home", REPOSITORY)
    again, _ = offline.locate(tmp_path / "home", REPOSITORY)
    assert again == there


def test_gated_repository_says_what_to_do(hub: Hub, online: Downloader, tmp_path: Path) -> None:
    hub.gated = True
    answer, _ = online.locate(tmp_path / "home", REPOSITORY)
    assert answer.startswith("GatedModel: ")
    assert "HF_TOKEN" in answer


def test_unknown_repository_is_named(hub: Hub, online: Downloader, tmp_path: Path) -> None:
    answer, _ = online.locate(tmp_path / "home", "someone/else")
    assert answer.startswith("NoSuchModel: the hub has no repository someone/else")


def test_unknown_revision_is_named(hub: Hub, online: Downloader, tmp_path: Path) -> None:
    answer, _ = online.locate(tmp_path / "home", REPOSITORY, revision="v99")
    assert answer.startswith(f"NoSuchModel: {REPOSITORY} has no revision 'v99'")


def test_missing_network_is_reported(offline: Downloader, tmp_path: Path) -> None:
    answer, _ = offline.locate(tmp_path / "home", REPOSITORY)
    assert answer.startswith(f"NoNetwork: {REPOSITORY} is not on this disk")


def test_gguf_of_a_repository_is_downloaded_alone(
    hub: Hub, online: Downloader, tmp_path: Path
) -> None:
    for name in ("model.safetensors", "tekken.json", "config.json", "consolidated.safetensors"):
        (hub.folder / name).unlink()
    for name in ("a-Q4_K_M.gguf", "a-Q8_0.gguf", "mmproj-a.gguf"):
        (hub.folder / name).write_bytes(b"no model")
    answer, _ = online.locate(tmp_path / "home", f"{REPOSITORY}:Q8_0")
    assert "a-Q8_0.gguf is no complete GGUF file" in answer
    answer, _ = online.locate(tmp_path / "home", REPOSITORY)
    assert "a-Q4_K_M.gguf is no complete GGUF file" in answer
    assert not any("mmproj" in name for name in hub.ranges)


def test_mistral_format_of_a_repository_is_downloaded(
    hub: Hub, online: Downloader, tmp_path: Path
) -> None:
    for name in ("model.safetensors", "config.json"):
        (hub.folder / name).unlink()
    (hub.folder / "params.json").write_text("{}")
    answer, _ = online.locate(tmp_path / "home", REPOSITORY)
    assert "consolidated.safetensors is truncated or damaged" in answer
