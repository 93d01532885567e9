"""Cases from a folder of reports: a request each, and what is right for it, by the report's id."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from benchmarks.cases.case import Case, Check, Outcome, answered, ends, has_header, refused, status

NOT_OFFERED = status(404)
RIGHT: Mapping[str, Sequence[Check]] = MappingProxyType(
    {
        "01": (ends("length"),),
        "02": (ends("length"),),
        "04": (answered,),
        "06": (answered,),
        "07": (answered,),
        "08": (answered,),
        "09": (answered,),
        "09c": (answered,),
        "10": (refused("response_format", "uniqueItems"),),
        "10c": (refused("tools[0].function.parameters", "uniqueItems"),),
        "11": (refused("response_format"),),
        "13": (answered,),
        "14": (answered,),
        "15": (answered,),
        "16": (status(200), has_header("access-control-allow-origin")),
        "18": (refused("response_format.json_schema"),),
        "19": (answered,),
        "20": (answered,),
        "21": (refused("tools[0].function.name"),),
        "22": (answered,),
        "23": (NOT_OFFERED,),
        "24": (status(200, 415),),
        "25": (refused("tools[0].function.parameters"),),
    }
)
"""Where a report leaves a choice, the one that docs/api.md states."""


def reported_cases(folder: Path) -> list[Case]:
    """One for each ``*.json``; what nothing is known of is only not to be a fault of the server."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Case:
    report = json.loads(path.read_text())
    request = report["request"]
    checks = RIGHT.get(path.stem.partition("_")[0], (_no_fault,))
    headers, content = dict(request.get("headers") or {}), None
    if headers.get("Content-Encoding") == "gzip":
        content = gzip.compress(json.dumps(request["body"] or {}).encode())
    body = None if content else request["body"]
    method, where = request["method"], request["path"]
    return Case("reported", path.stem, body, checks, method, where, headers, content)


def _no_fault(got: Outcome) -> str:
    return f"status {got.status}" if got.status >= 500 or not got.status else ""
