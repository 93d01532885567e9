"""Where settings are read from beside flags: the environment and ``playground.yaml``.

Names of earlier versions are refused with the name that replaced them.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, YamlConfigSettingsSource

from playground.errors import InvalidSettings

SETTINGS_FILE = "playground.yaml"
ENV_PREFIX = "PLAYGROUND_"
NESTED_DELIMITER = "__"

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "model": "model.name",
        "revision": "model.revision",
        "precision": "model.precision",
        "quantization": "model.quantization",
        "device": "model.device",
        "attention": "model.attention",
        "context_length": "model.context_length",
        "host": "server.host",
        "port": "server.port",
        "log_level": "server.log_level",
        "max_body_mib": "server.max_body_mib",
        "max_upload_mib": "server.max_upload_mib",
        "stream_interval_ms": "server.stream_interval_ms",
        "max_sequences": "engine.max_sequences",
        "step_tokens": "engine.step_tokens",
        "max_waiting": "engine.max_waiting",
        "kv_cache_gib": "engine.kv_cache_gib",
        "kv_layout": "engine.kv_layout",
        "prefix_cache": "engine.prefix_cache",
        "drafts": "engine.drafts",
        "max_adapters": "engine.max_adapters",
        "adapters": "adapters.load",
        "adapters_from_anywhere": "adapters.from_anywhere",
        "training": "training.priority",
        "isolated": "training.isolated",
        "run_tools": "tools.run",
        "tool_files": "tools.files",
        "tool_documents": "tools.documents",
        "mcp_servers": "tools.mcp_servers",
        "api_key": "access.api_key",
    }
)
"""Names of 0.1 and those of today."""


def variable_of(path: str) -> str:
    """Return the environment variable of a setting: ``PLAYGROUND_ENGINE__MAX_SEQUENCES``."""
    return ENV_PREFIX + path.replace(".", NESTED_DELIMITER).upper()


class Environment(EnvSettingsSource):
    """The environment. Raises `InvalidSettings` for variables of 0.1 and for a whole section."""

    def __call__(self) -> dict[str, object]:
        """Read the variables."""
        present = {name.upper() for name in os.environ}
        problems = [
            f"{variable_of(old)} is now {variable_of(new)}"
            for old, new in RENAMED.items()
            if variable_of(old) in present
        ]
        for name, field in self.settings_cls.model_fields.items():
            kind = field.annotation
            if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
                continue
            if name not in RENAMED and variable_of(name) in present:
                member = variable_of(f"{name}.{next(iter(kind.model_fields))}")
                problems.append(f"{variable_of(name)} is a section; set {member} and the like")
        if problems:
            raise InvalidSettings("; ".join(problems))
        return super().__call__()


class SettingsFile(YamlConfigSettingsSource):
    """``playground.yaml``, in which a section may be left empty."""

    def __call__(self) -> dict[str, object]:
        """Read the file."""
        return {name: value for name, value in super().__call__().items() if value is not None}
