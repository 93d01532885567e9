"""The files for a server: what they copy, run and name is there, and nobody runs as root."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
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


SBATCH = DEPLOY / "slurm" / "train.sbatch"
SKYPILOT = yaml.safe_load((DEPLOY / "skypilot" / "train.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which the launchers print what they are asked to start."""
    said = {
        "torchrun": 'printf "%s\\n" "$@"',
        "srun": '"$@"',
        "scontrol": "printf 'node7\\nnode8\\n'",
    }
    for name, body in said.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def started(script: str, environment: dict[str, str], *arguments: str) -> list[str]:
    """What a script has torchrun start."""
    command = ["bash", "-e", "-c", script, "script", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_slurm_starts_process_a_gpu(programs: dict[str, str]) -> None:
    job = {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "5"}
    rows = ("train", "my rows.jsonl", "--name", "desk")
    found = started(SBATCH.read_text(), programs | job | {"SLURM_GPUS_ON_NODE": "8"}, *rows)
    assert found[-6:] == ["--no-python", "finetune", *rows]
    assert {"--nnodes=2", "--nproc-per-node=8", "--rdzv-endpoint=node7:29500"} <= {*found}
    directives = re.findall(r"^#SBATCH --([a-z-]+)=", SBATCH.read_text(), re.M)
    assert {"nodes", "ntasks-per-node", "gpus-per-node", "signal", "time"} <= {*directives}


def test_skypilot_volume_is_shared() -> None:
    volume = yaml.safe_load((DEPLOY / "skypilot" / "volume.yaml").read_text(encoding="utf-8"))
    assert [volume["name"]] == [*SKYPILOT["volumes"].values()]
    assert volume["config"]["access_mode"] == "ReadWriteMany"


def test_skypilot_resumes_what_is_saved(programs: dict[str, str], tmp_path: Path) -> None:
    assert {*SKYPILOT} == {
        "name", "resources", "num_nodes", "workdir", "volumes", "envs", "setup", "run",
    }  # fmt: skip
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "activate").touch()
    nodes = {"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "1", "SKYPILOT_NODE_IPS": "::1\n::2"}
    own = {**SKYPILOT["envs"], "PLAYGROUND_HOME": str(tmp_path), "SKYPILOT_NUM_GPUS_PER_NODE": "4"}
    found = started(SKYPILOT["run"], programs | nodes | own)
    assert found[-4:] == ["train", "rows.jsonl", "--name", "help-desk"]
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=::1"} <= {*found}
    (tmp_path / "runs" / "20260101-help-desk" / "checkpoints" / "checkpoint-50").mkdir(parents=True)
    assert started(SKYPILOT["run"], programs | nodes | own)[-2:] == ["resume", "help-desk"]
