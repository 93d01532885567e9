"""Whatever another process promotes, retires or deletes in the store, this server follows."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import ModelInfo
from playground.store.adapters import AdapterStore
from playground.studio import store_watch
from playground.studio.studio import Studio
from tests.playground.adapter_files import random_adapter


@pytest.fixture
def host() -> Iterator[LocalBackend]:
    with LocalBackend(load(ModelSpec("embedded"))) as running:
        yield running


@pytest.fixture
def elsewhere(tmp_path: Path) -> AdapterStore:
    """The store as another process sees it, with two versions, the first promoted."""
    store = AdapterStore(tmp_path / "home/adapters")
    for seed in (1, 2):
        store.publish(random_adapter(tmp_path / str(seed), seed, r=4), "desk")
    store.promote("desk", "v1")
    return store


@pytest.fixture
def studio(tmp_path: Path, host: LocalBackend, elsewhere: AdapterStore) -> Studio:
    """Not entered: nothing happens by itself."""
    studio = Studio(tmp_path / "home", host.loaded, host)
    assert elsewhere.names()
    assert studio.serve_promoted() == []
    return studio


def served(host: LocalBackend) -> dict[str, str]:
    """Content hashes by name."""
    models: list[ModelInfo] = list(asyncio.run(host.models()))
    return {info.adapter: info.provenance.adapter_hash for info in models if info.adapter}


@pytest.mark.slow
def test_promote_elsewhere_is_followed(
    studio: Studio, host: LocalBackend, elsewhere: AdapterStore
) -> None:
    version = elsewhere.promote("desk", "v2")
    assert studio.follow_store() == []
    assert served(host) == {"desk": version.content_hash}


@pytest.mark.slow
def test_rollback_elsewhere_is_followed(
    studio: Studio, host: LocalBackend, elsewhere: AdapterStore
) -> None:
    studio.promote("desk", "v2")
    version = elsewhere.roll_back("desk")
    studio.follow_store()
    assert served(host) == {"desk": version.content_hash}


@pytest.mark.slow
def test_retire_elsewhere_is_followed(
    studio: Studio, host: LocalBackend, elsewhere: AdapterStore
) -> None:
    elsewhere.retire("desk")
    studio.follow_store()
    assert served(host) == {}


@pytest.mark.slow
def test_delete_elsewhere_ends_trial(
    studio: Studio, host: LocalBackend, elsewhere: AdapterStore
) -> None:
    studio.try_version("desk", "v2")
    elsewhere.delete("desk", "v2")
    studio.follow_store()
    assert list(served(host)) == ["desk"]


@pytest.mark.slow
def test_adapter_of_elsewhere_is_left_alone(
    studio: Studio, host: LocalBackend, elsewhere: AdapterStore, tmp_path: Path
) -> None:
    studio.retire("desk")
    host.load_adapter(tmp_path / "1", "desk")
    elsewhere.publish(tmp_path / "1", "other")
    studio.follow_store()
    assert list(served(host)) == ["desk"]


@pytest.mark.slow
def test_broken_version_is_named(
    studio: Studio, host: LocalBackend, elsewhere: AdapterStore
) -> None:
    before = served(host)
    version = elsewhere.find("desk", "v2")
    (version.folder / "adapter_model.safetensors").write_bytes(b"")
    elsewhere.promote("desk", "v2")
    (problem,) = studio.follow_store()
    assert problem.startswith("adapter desk/v2: ")
    assert served(host) == before


@pytest.mark.slow
def test_server_follows_by_itself(
    studio: Studio, elsewhere: AdapterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_watch, "POLL_INTERVAL_S", 0.01)
    followed, sync = threading.Event(), studio._watch._follow

    def noticed() -> list[str]:
        followed.set()
        return sync()

    monkeypatch.setattr(studio._watch, "_follow", noticed)
    with studio:
        elsewhere.promote("desk", "v2")
        assert followed.wait(10)
