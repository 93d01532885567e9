"""Files that a sweep's file names: its rows, and promptfoo's prompts, tests and values.

Only the command line reads files, those of the person who runs it; elsewhere there are none.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from playground.errors import InvalidRequest
from playground.lab.sweeps.rows import MAX_FILE_BYTES, Located, rows_of_file
from playground.protocol.json_types import Json, JsonObject
from playground.structured.keywords import is_longer

PREFIX = "file://"
MIN_LIMIT = 500_000
"""Characters as JSON that the shortest document may come to."""


@dataclass(frozen=True, slots=True)
class SweepFiles:
    """Files beside the one that names them; without a ``folder`` none is read."""

    folder: Path | None = None

    def path(self, name: str, field: str) -> Path:
        """Return a file's path. Raises `InvalidRequest` at ``field`` if it may not be read."""
        name = name.removeprefix(PREFIX)
        if self.folder is None:
            raise InvalidRequest(field, f"{name}: files are read by `playground sweep` only")
        path = self.folder / name
        if not path.is_file():
            raise InvalidRequest(field, f"there is no file {name}")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRequest(field, f"{name} is larger than {MAX_FILE_BYTES >> 20} MiB")
        return path

    def text(self, name: str, field: str) -> str:
        """Return a file's text. Raises `InvalidRequest`."""
        path = self.path(name, field)
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidRequest(field, f"{path.name}: not UTF-8 at byte {error.start}") from error
        except OSError as error:
            raise InvalidRequest(field, f"{path.name}: {error.strerror}") from error

    def value(self, name: str, field: str) -> Json:
        """Return what a JSON or YAML file holds. Raises `InvalidRequest`."""
        return parse_document(self.text(name, field), f"{field}: {Path(name).name}")

    def rows(self, name: str) -> list[Located]:
        """Return a file's rows. Raises `InvalidRequest`."""
        return rows_of_file(self.path(name, "rows"))


def parse_document(text: str, field: str) -> Json:
    """Return the value of a JSON or YAML text; dates stay text, as in JSON.

    Raises `InvalidRequest` at ``field``, with line and column.
    """
    try:
        loader = yaml.SafeLoader(text)
        loader.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
            for first, resolvers in loader.yaml_implicit_resolvers.items()
        }
        value = loader.get_single_data()
        # A document of aliases could grow without end when it is written out.
        if is_longer(value, max(MIN_LIMIT, 20 * len(text))):
            raise InvalidRequest(field, "its aliases make it too large")
        parsed: Json = json.loads(json.dumps(value))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidRequest(field, f"{place}{error.problem or 'not YAML'}") from error
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(field, f"neither JSON nor YAML: {error}") from error
    return parsed


def parse_object(text: str, field: str) -> JsonObject:
    """Return the object of a JSON or YAML text. Raises `InvalidRequest`."""
    value = parse_document(text, field)
    if not isinstance(value, dict):
        raise InvalidRequest(field, "must be an object with prompts, models, rows and graders")
    return value
