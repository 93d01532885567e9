"""Settings in one place: flags, environment (``PLAYGROUND_…``), ``playground.yaml``, defaults.

A setting is one field of one section in `sections`; its flag, environment variable, help and check
follow from that field. Knows no model, no server and no command line; says of each value in force
where it came from.
"""

from playground.settings.backends import BackendKind, BackendSettings
from playground.settings.catalog import SETTINGS, Setting
from playground.settings.load import Flags, load_settings, origin
from playground.settings.oidc import OidcSettings
from playground.settings.sections import (
    AccessSettings,
    AdapterSettings,
    EngineSettings,
    LimitSettings,
    ModelSettings,
    Precision,
    Quantization,
    ServerSettings,
    Settings,
    StructuredSettings,
    ToolSettings,
    TrainingSettings,
    UsageSettings,
)
from playground.settings.usage import ModelPrice

__all__ = [
    "SETTINGS",
    "AccessSettings",
    "AdapterSettings",
    "BackendKind",
    "BackendSettings",
    "EngineSettings",
    "Flags",
    "LimitSettings",
    "ModelPrice",
    "ModelSettings",
    "OidcSettings",
    "Precision",
    "Quantization",
    "ServerSettings",
    "Setting",
    "Settings",
    "StructuredSettings",
    "ToolSettings",
    "TrainingSettings",
    "UsageSettings",
    "load_settings",
    "origin",
]
