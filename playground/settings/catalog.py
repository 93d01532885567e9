"""The settings as a flat list, for whatever shows or asks for each of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from playground.settings.fields import Flag
from playground.settings.sections import Settings
from playground.settings.sources import variable_of

LISTED = "Backends"
"""The heading of settings that are lists of sections."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: ``engine.max_sequences``, with what follows from its field.

    ``section`` is "" for a setting outside of all sections, ``access.oidc`` for one within another.
    """

    section: str
    heading: str
    name: str
    field: FieldInfo

    @property
    def path(self) -> str:
        """Its name in ``playground.yaml``, with a dot for each level."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def group(self) -> str:
        """What commands choose it by: its section, or its name where it is a list of sections."""
        return self.name if self.heading == LISTED else self.section.partition(".")[0]

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.path)

    @property
    def flag(self) -> str:
        """Its long option."""
        return self._flag.name or f"--{self.name.replace('_', '-')}"

    @property
    def off_flag(self) -> str:
        """The option that turns a switch off."""
        return f"--no-{self.flag.removeprefix('--')}"

    @property
    def short_flag(self) -> str:
        """Its short option, or ""."""
        return self._flag.short

    @property
    def description(self) -> str:
        """One line of help."""
        return self.field.description or ""

    @property
    def is_switch(self) -> bool:
        """True for a boolean: ``--flag`` or ``--no-flag``."""
        return self.field.annotation is bool

    @property
    def is_list(self) -> bool:
        """True if the option may be repeated."""
        return get_origin(self.field.annotation) is tuple

    @property
    def is_secret(self) -> bool:
        """True if its value must not be printed."""
        return SecretStr in self._types

    @property
    def values(self) -> str:
        """The values it takes, for help: ``none|int8|nf4`` or a kind of value."""
        for kind in self._types:
            if get_origin(kind) is Literal:
                return "|".join(get_args(kind))
        names = {int: "INTEGER", float: "NUMBER", Path: "PATH"}
        return next((names[kind] for kind in self._types if kind in names), "TEXT")

    def value_in(self, settings: Settings) -> object:
        """Return its value in these settings."""
        found: object = settings
        for name in self.path.split("."):
            found = getattr(found, name)
        return found

    @property
    def _flag(self) -> Flag:
        return next((item for item in self.field.metadata if isinstance(item, Flag)), Flag())

    @property
    def _types(self) -> list[object]:
        """The annotation and the types it is made of, aliases and unions opened."""
        return list(_parts(self.field.annotation))


def _parts(annotation: object) -> list[object]:
    if get_origin(annotation) is Literal:
        return [annotation]
    return [annotation, *(part for item in get_args(annotation) for part in _parts(item))]


def _flatten() -> tuple[Setting, ...]:
    settings: list[Setting] = []
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            settings += _of_section(name, kind)
        else:
            settings.append(Setting("", LISTED if name == "backends" else "Data", name, field))
    return tuple(settings)


def _of_section(path: str, section: type[BaseModel]) -> list[Setting]:
    """Return the settings of a section, those of sections within it too."""
    found: list[Setting] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += _of_section(f"{path}.{name}", kind)
        else:
            found.append(Setting(path, section.__doc__ or path, name, field))
    return found


SETTINGS = _flatten()
"""Every setting, in the order of the sections."""
