"""The files for a server: what they copy, run and name is there, and nobody runs as root."""

import json
import re
from pathlib import Path

import yaml

from playground.settings import SETTINGS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_image_copies_what_is_there() -> None:
    stages = DOCKERFILE.split("\nFROM ")[1:]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    names = [name for line in copied for name in line.split()]
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert names
    for name in names:
        assert (ROOT / name).exists()
        assert f"!{name}" in kept
    assert re.search(r"^USER \d+$", stages[-1], re.M)
    check = re.search(r"HEALTHCHECK .*\n\s+CMD (\[.+\])", stages[-1])
    assert check is not None
    assert "/ready" in json.loads(check[1])[-1]


def test_variables_are_settings() -> None:
    known = {setting.variable for setting in SETTINGS}
    texts = [DOCKERFILE, *(path.read_text(encoding="utf-8") for path in DEPLOY.glob("*.*"))]
    for text in texts:
        for name in re.findall(r"\bPLAYGROUND_[A-Z]+(?:_[A-Z]+)*(?:__[A-Z_]+)?(?==|: )", text):
            if name != "PLAYGROUND_MODEL":  # of the compose file itself
                assert name in known, name


def test_mounted_files_are_there() -> None:
    mounted = [
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert len(mounted) >= 4
    assert all((DEPLOY / name).is_file() for name in mounted)
    named = {
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if not volume.startswith("./")
    }
    assert named == set(COMPOSE["volumes"])
