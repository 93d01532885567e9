"""What the fields of settings are made of: flags, lists, keys and paths. Knows no setting."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting's option on the command line where it is not ``--its-name``."""

    name: str = ""
    short: str = ""


def _parse_list(value: object) -> object:
    """Read an environment variable: a JSON list, or a single item as it stands."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return (value,)
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f'write one item, or a JSON list ["…", "…"]: {error}') from None


def _check_key(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().strip():
        raise ValueError("the key is empty; leave it out to ask for none")
    return key


ApiKey = Annotated[SecretStr, AfterValidator(_check_key)]
ExpandedPath = Annotated[Path, AfterValidator(lambda path: path.expanduser())]
Several = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_parse_list)]


class Section(BaseModel):
    """A group of settings; its class docstring is the heading in --help."""

    model_config = ConfigDict(frozen=True, extra="forbid")
