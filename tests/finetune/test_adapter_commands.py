"""`finetune import`, `promote` and the others: what they check before the store changes."""

import json
import sys
from pathlib import Path

import pytest

from finetune.cli import main
from finetune.recipe import embedded_cpu
from playground.jobs.job import Job, write_job
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.unloaded import find_base
from playground.store.adapters import AdapterStore
from playground.studio.runs import list_runs, new_run
from tests.playground.adapter_files import random_adapter

BASES_NAME = "error: name: 'embedded' is the base model's; choose another\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def finetune(*arguments: object) -> int:
    """Run the command in this process; returns its exit status."""
    sys.argv = ["finetune", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def change(folder: Path, file: str, **values: object) -> None:
    path = folder / file
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | values))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return random_adapter(tmp_path / "made", 1, r=4, target_modules=["q_proj"])


@pytest.fixture
def other(made: Path) -> Path:
    """An adapter that says it is of the 24B, whose modules have other shapes."""
    name = "mistralai/Mistral-Small-24B-Instruct-2501"
    change(made, "adapter_config.json", base_model_name_or_path=name)
    return made


@pytest.mark.slow
def test_home_is_named_before_the_command(home: Path, made: Path, tmp_path: Path) -> None:
    assert finetune("--home", tmp_path / "other", "import", made, "--name", "shop") == 0
    assert AdapterStore(tmp_path / "other" / "adapters").names() == ["shop"]
    assert not home.exists()


@pytest.mark.slow
def test_import_takes_fitting_adapter(home: Path, made: Path) -> None:
    assert finetune("import", made, "--name", "desk") == 0
    assert AdapterStore(home / "adapters").names() == ["desk"]


@pytest.mark.slow
def test_import_refuses_other_base(
    home: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune("import", other, "--name", "desk") == 1
    assert "checked against mistralai/Mistral-Small-24B" in capsys.readouterr().err
    assert AdapterStore(home / "adapters").names() == []


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_import_names_base_to_check(other: Path) -> None:
    assert finetune("import", other, "--name", "desk", "--model", "embedded") == 0


@pytest.mark.slow
def test_import_checks_unknown_base_by_servers(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(made, "adapter_config.json", base_model_name_or_path="someone/a-base")
    assert finetune("import", made, "--name", "desk") == 0
    assert "embedded fits by shape" in capsys.readouterr().err
    assert AdapterStore(home / "adapters").names() == ["desk"]


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_import_unknown_model_refused(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune("import", made, "--name", "desk", "--model", "nothing") == 1
    assert "--model nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_promote_refuses_other_base_hash(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(made, "adapter_card.json", base="embedded", base_hash="another")
    AdapterStore(home / "adapters").publish(made, "desk")
    assert finetune("promote", "desk", "v1") == 1
    assert "another base_hash" in capsys.readouterr().err
    assert AdapterStore(home / "adapters").promoted() == []


def test_base_of_catalogue_needs_no_files(tmp_path: Path) -> None:
    base = find_base("mistral-small", tmp_path)
    assert base
    assert (base.weights_hash, base.template_hash) == ("", "")
    assert base.model.get_submodule("model.layers.39.self_attn.q_proj")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["desk", "desk.v1", "desk/v1"])
def test_export_finds_stored_version(home: Path, made: Path, tmp_path: Path, name: str) -> None:
    finetune("import", made, "--name", "desk", "--model", "embedded")
    out = tmp_path / "out"
    options = ("--to", "merged", "--out", out, "--model", "embedded")
    assert finetune("export", name, *options) == 0
    assert (out / "model.safetensors").is_file()


@pytest.mark.usefixtures("home")
def test_export_names_unknown_adapter(capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune("export", "nobody", "--to", "peft") == 1
    assert "no adapter 'nobody' in the store" in capsys.readouterr().err


@pytest.mark.slow
def test_import_refuses_bases_name(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune("import", made, "--name", "embedded", "--model", "embedded") == 1
    assert capsys.readouterr().err == BASES_NAME
    assert AdapterStore(home / "adapters").names() == []


@pytest.mark.slow
def test_promote_refuses_bases_name(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    AdapterStore(home / "adapters").publish(made, "embedded")
    assert finetune("promote", "embedded", "v1") == 1
    assert capsys.readouterr().err == BASES_NAME
    assert AdapterStore(home / "adapters").promoted() == []


@pytest.mark.slow
@pytest.mark.parametrize("base", ["embedded", EMBEDDED_FOLDER])
def test_train_refuses_bases_name(
    base: str | Path, home: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune("train", catalogue, "--model", base, "--name", "embedded") == 1
    assert capsys.readouterr().err == BASES_NAME
    assert list_runs(home) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["resume", "rerun"])
def test_run_with_bases_name_refused(
    command: str, home: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(home, "embedded", embedded_cpu(), [catalogue])
    assert finetune(command, run.folder) == 1
    assert capsys.readouterr().err == BASES_NAME


@pytest.mark.slow
def test_list_keeps_dates_whole(
    home: Path, made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(made, "adapter_card.json", date="2026-11-28T00:55:26+00:00", base="embedded")
    (made / "report-card.json").write_text('{"verdict": "do not promote"}')
    AdapterStore(home / "adapters").publish(made, "support-desk")
    monkeypatch.setenv("COLUMNS", "80")
    assert finetune("list") == 0
    assert " 2026-11-28 00:55 " in capsys.readouterr().out


@pytest.mark.slow
def test_list_says_a_job_failed(
    home: Path, catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(home, "desk", embedded_cpu(), [catalogue])
    write_job(Job(folder=run.folder, kind="train", name="desk", state="failed"))
    assert finetune("list") == 0
    out = capsys.readouterr().out
    assert "failed" in out
    assert "not begun" not in out
