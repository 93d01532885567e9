"""Settings in one place: flags, environment (``PLAYGROUND_…``), ``playground.yaml``, defaults.

Knows no model and no server; says of each value in force where it came from.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from yaml import YAMLError

from playground.errors import InvalidSettings

Precision = Literal["auto", "bf16", "fp16", "fp32"]
Quantization = Literal["none", "int8", "nf4"]

SETTINGS_FILE = "playground.yaml"
ExpandedPath = Annotated[Path, AfterValidator(lambda path: path.expanduser())]


class Settings(BaseSettings):
    """Everything a person may set. Sources, strongest first: flags (the constructor's arguments),
    environment, ``playground.yaml`` in the working directory, the defaults here.
    """

    model_config = SettingsConfigDict(
        env_prefix="PLAYGROUND_", yaml_file=SETTINGS_FILE, extra="forbid", frozen=True
    )

    home: ExpandedPath = Field(
        default=Path("~/.local/share/mistral-playground"),
        validate_default=True,
        description="folder for downloads, adapters, runs and the database",
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=7860, ge=0, le=65535, description="port; 0 takes any free one")
    model: str = Field(
        default="embedded", description="a catalogue name, a hub id or a local folder"
    )
    revision: str | None = Field(
        default=None, description="branch, tag or commit of a hub repository"
    )
    precision: Precision = Field(default="auto", description="number format of unquantized weights")
    quantization: Quantization = Field(default="none", description="how the base is quantized")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, …")
    attention: str = Field(
        default="auto", description="transformers' attention implementation outside the engine"
    )
    context_length: int | None = Field(
        default=None, ge=16, description="tokens of context; the model's own default if unset"
    )
    max_sequences: int = Field(default=32, ge=1, description="answers decoded in one batch")
    step_tokens: int = Field(default=512, ge=16, description="tokens forwarded in one step")
    max_waiting: int = Field(default=256, ge=0, description="requests that may wait for a slot")
    kv_cache_gib: float | None = Field(
        default=None, gt=0, description="memory for the KV cache; chosen from what is free if unset"
    )
    kv_layout: Literal["auto", "contiguous", "paged"] = Field(
        default="auto",
        description="keys and values in pages of one pool (GPUs) or each sequence's in one piece",
    )
    prefix_cache: bool = Field(
        default=True, description="keep keys and values for the next prompt that begins alike"
    )
    drafts: bool = Field(
        default=True, description="draft answers that repeat their prompt from it, and check them"
    )
    max_adapters: int = Field(default=8, ge=1, le=64, description="adapters resident at once")
    adapters: tuple[str, ...] = Field(
        default=(), description="adapters to serve: NAME=FOLDER, or a FOLDER of that name"
    )
    adapters_from_anywhere: bool = Field(
        default=False, description="API clients may load adapters from any folder of this machine"
    )
    training: Literal["low", "balanced", "high"] = Field(
        default="low",
        description="what training may take beside answers: only idle time, half of it, or all",
    )
    isolated: bool = Field(
        default=False, description="train in a process of its own, which loads its own base"
    )
    stream_interval_ms: float = Field(
        default=40.0, ge=0, description="a stream's pieces leave joined, at most this often"
    )
    run_tools: bool = Field(
        default=False,
        description="tools run on this machine: the built-in ones and those of the settings below",
    )
    tool_files: tuple[ExpandedPath, ...] = Field(
        default=(), description="Python files whose public functions become tools"
    )
    tool_documents: ExpandedPath | None = Field(
        default=None, description="folder of text files that the tool search_documents looks in"
    )
    mcp_servers: tuple[str, ...] = Field(
        default=(), description="MCP servers: NAME=URL, or NAME=COMMAND ARGUMENT …"
    )
    max_body_mib: float = Field(default=4.0, gt=0, description="largest HTTP request body")
    max_upload_mib: float = Field(default=512.0, gt=0, description="largest uploaded file")
    api_key: str | None = Field(default=None, description="if set, API requests must carry it")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="how much the server tells"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the YAML file; no .env and no secrets folder."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)


def load_settings(**flags: Any) -> Settings:
    """Settings in force; a flag of None counts as not given.

    Raises `InvalidSettings` naming each wrong value, what is allowed and where it was set.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = [_describe(fault, given) for fault in error.errors()]
        raise InvalidSettings("; ".join(problems)) from error
    except (OSError, ValueError, YAMLError) as error:
        raise InvalidSettings(f"{SETTINGS_FILE}: {error}") from error


def origin(name: str, **flags: Any) -> str:
    """Where the value in force of the setting ``name`` came from, strongest source first."""
    if flags.get(name) is not None:
        return f"--{name.replace('_', '-')}"
    variable = f"PLAYGROUND_{name.upper()}"
    if variable in {key.upper() for key in os.environ}:
        return variable
    return SETTINGS_FILE if name in YamlConfigSettingsSource(Settings)() else "default"


def _describe(fault: ErrorDetails, flags: dict[str, Any]) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else SETTINGS_FILE
    if fault["type"] == "extra_forbidden":
        return f"{name} ({origin(name, **flags)}): there is no such setting"
    return f"{name} ({origin(name, **flags)}): {fault['msg']}, not {fault['input']!r}"
