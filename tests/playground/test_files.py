"""Atomic writes: whole or absent."""

from pathlib import Path

import pytest

from playground.files import atomic_folder, write_atomic


def test_write_atomic_replaces_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    write_atomic(path, "first")
    write_atomic(path, "second – ünïcode".encode())
    assert path.read_text(encoding="utf-8") == "second – ünïcode"
    assert [each.name for each in path.parent.iterdir()] == ["state.json"]


def test_write_atomic_failure_keeps_old(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(OSError, match=r"state\.json"):
        write_atomic(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_atomic_folder_absent_after_error(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_folder(tmp_path / "v1") as folder:
            (folder / "weights").write_bytes(b"1")
            raise ValueError("half written")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert not list(tmp_path.iterdir())


def test_atomic_folder_never_overwrites(tmp_path: Path) -> None:
    target = tmp_path / "v1"
    with atomic_folder(target) as folder:
        (folder / "weights").write_bytes(b"1")
    with pytest.raises(FileExistsError), atomic_folder(target):
        pass
    assert (target / "weights").read_bytes() == b"1"
    assert [each.name for each in tmp_path.iterdir()] == ["v1"]
