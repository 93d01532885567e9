"""Settings: their sources in order, their names, and what is said of a wrong one."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from playground.app import engine_limits, load_model, model_spec
from playground.engine import Limits
from playground.errors import InvalidSettings, NoNetwork
from playground.models.spec import ModelSpec
from playground.settings import (
    SETTINGS,
    EngineSettings,
    ModelSettings,
    Settings,
    load_settings,
    origin,
)
from playground.settings.sources import RENAMED

PORT = "PLAYGROUND_SERVER__PORT"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in which a test may put a ``playground.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLAYGROUND_HOME", raising=False)
    monkeypatch.delenv("PLAYGROUND_MODEL__NAME", raising=False)
    return tmp_path


def _fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Name every leaf of the nested models, without the catalogue's help."""
    paths = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            paths += _fields(kind, f"{prefix}{name}.")
        else:
            paths.append(prefix + name)
    return paths


def test_catalog_lists_every_field_once() -> None:
    assert [setting.path for setting in SETTINGS] == _fields(Settings)


def test_flags_are_unique() -> None:
    flags = [setting.flag for setting in SETTINGS]
    flags += [setting.short_flag for setting in SETTINGS if setting.short_flag]
    flags += [setting.off_flag for setting in SETTINGS if setting.is_switch]
    assert len(set(flags)) == len(flags)


def test_settings_have_descriptions() -> None:
    assert all(setting.description for setting in SETTINGS)


def test_sources_by_precedence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().server.port == 7860
    assert origin("server.port") == "default"
    (folder / "playground.yaml").write_text("server: {port: 1, host: '::1'}\nengine:\n")
    assert load_settings().server.port == 1
    assert origin("server.port") == "playground.yaml"
    monkeypatch.setenv(PORT, "2")
    assert load_settings().server.port == 2
    assert origin("server.port") == PORT
    flags = {"server.port": "3", "server.log_level": None}
    settings = load_settings(flags)
    assert settings.server.port == 3
    assert origin("server.port", flags) == "--port"
    assert settings.server.host == "::1"  # other settings of the section keep their source
    assert settings.server.log_level == "info"


def test_switch_origin_names_off_flag() -> None:
    assert origin("engine.drafts", {"engine.drafts": False}) == "--no-drafts"
    assert origin("engine.drafts", {"engine.drafts": True}) == "--drafts"


def test_environment_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_ADAPTERS__LOAD", "prices=/adapters/1")
    monkeypatch.setenv("PLAYGROUND_TOOLS__FILES", '["a.py", "~/b.py"]')
    settings = load_settings()
    assert settings.adapters.load == ("prices=/adapters/1",)
    assert settings.tools.files == (Path("a.py"), Path("~/b.py").expanduser())


def test_home_keeps_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", "~/somewhere")
    assert load_settings().home == Path("~/somewhere").expanduser()


def test_settings_are_frozen() -> None:
    settings = load_settings()
    for owner, name in ((settings, "home"), (settings.server, "port")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(owner, name, None)


def test_api_key_is_not_printed() -> None:
    settings = load_settings({"access.api_key": "sesame"})
    assert "sesame" not in repr(settings)
    with pytest.raises(InvalidSettings) as error:
        load_settings({"access.api_key": ["sesame"]})
    assert "sesame" not in error.value.message


@pytest.mark.parametrize(
    ("flags", "environment", "yaml", "message"),
    [
        ({"server.port": "99999"}, {}, "", "server.port (--port): Input should be less than or"),
        ({"server.port": "x"}, {}, "", "not 'x'"),
        ({}, {PORT: "x"}, "", f"server.port ({PORT}): Input should be a valid integer"),
        ({}, {}, "server: {port: x}", "server.port (playground.yaml): Input should be a valid int"),
        ({"model.quantization": "nf3"}, {}, "", "'none', 'int8' or 'nf4', not 'nf3'"),
        ({"access.api_key": " "}, {}, "", "access.api_key (--api-key): the key is empty"),
        ({}, {"PLAYGROUND_TOOLS__FILES": '["a'}, "", 'write one item, or a JSON list ["…", "…"]'),
        ({}, {}, "server: {prot: 1}", "server.prot (playground.yaml): there is no such setting"),
        ({}, {"PLAYGROUND_SERVER__PROT": "1"}, "", "(PLAYGROUND_SERVER__PROT): there is no such"),
        ({}, {}, "server: 8000", "server (playground.yaml) is a section with host, port, "),
        ({}, {"PLAYGROUND_SERVER": "x"}, "", "is a section; set PLAYGROUND_SERVER__HOST"),
        ({}, {}, "- server", "playground.yaml: "),
        ({}, {}, "server: {", "playground.yaml: "),
    ],
)
def test_wrong_setting_is_explained(
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    yaml: str,
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (folder / "playground.yaml").write_text(yaml)
    with pytest.raises(InvalidSettings) as error:
        load_settings(flags)
    assert message in error.value.message


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_name_tells_new_one(
    old: str, new: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert new in {setting.path for setting in SETTINGS}
    monkeypatch.setenv(f"PLAYGROUND_{old.upper()}", "1")
    variable = f"PLAYGROUND_{new.replace('.', '__').upper()}"
    with pytest.raises(InvalidSettings, match=f"PLAYGROUND_{old.upper()} is now {variable}"):
        load_settings()
    monkeypatch.delenv(f"PLAYGROUND_{old.upper()}")
    (folder / "playground.yaml").write_text(f"{old}: 1\n")
    with pytest.raises(InvalidSettings) as error:
        load_settings()
    assert error.value.message == f"{old} (playground.yaml) is now {new}"


def test_engine_limits_follow_settings() -> None:
    settings = load_settings(
        {
            "engine.max_sequences": 3,
            "training.priority": "high",
        }
    )
    assert engine_limits(Settings()) == Limits()
    limits = Limits(max_sequences=3, training="high")
    assert engine_limits(settings) == limits
    elsewhere = {"training"}
    fields = {field.name for field in dataclasses.fields(Limits)}
    assert fields - elsewhere == set(EngineSettings.model_fields)


def test_model_spec_follows_settings() -> None:
    settings = load_settings({"model.name": "mistral-small", "model.quantization": "nf4"})
    assert model_spec(settings) == ModelSpec("mistral-small", quantization="nf4")
    fields = {field.name for field in dataclasses.fields(ModelSpec)}
    assert fields - {"source"} == set(ModelSettings.model_fields) - {"name"}


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither package index nor hub answers."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable")
def test_unreachable_default_leaves_the_embedded_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_model(load_settings({"home": tmp_path})).name == "embedded"
    assert "smollm2 is not on this disk" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("unreachable")
def test_unreachable_chosen_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork, match="smollm2 is not on this disk"):
        load_model(load_settings({"home": tmp_path, "model.name": "smollm2"}))


BACKENDS = """
backends:
  - {alias: box, url: "http://box:8000/v1/", kind: vllm, models: [a, {id: b/c, name: c}]}
  - desk=ollama+http://localhost:11434
"""


def test_backends_are_mappings_or_text(folder: Path) -> None:
    (folder / "playground.yaml").write_text(BACKENDS)
    box, desk = load_settings().backends
    assert (box.url, [model.name or model.id for model in box.models]) == (
        "http://box:8000/v1",
        ["a", "c"],
    )
    assert (desk.alias, desk.kind, desk.url) == ("desk", "ollama", "http://localhost:11434")


@pytest.mark.parametrize(
    ("backends", "message"),
    [
        (["x"], "backends[0] (--backend): write ALIAS=URL"),
        (["x=ftp://h"], "backends[0].url (--backend): write http://"),
        (["x=http://user:secret@h"], "no user, password or query"),
        (["x=http://a", "x=http://b"], "alias 'x' is given twice"),
        (["t=together+https://api.together.xyz"], "name those to offer here"),
    ],
)
def test_wrong_backends_are_named(folder: Path, backends: list[str], message: str) -> None:
    with pytest.raises(InvalidSettings) as failure:
        load_settings({"backends": backends})
    assert message in str(failure.value)
    assert "secret" not in str(failure.value)
