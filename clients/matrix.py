"""Starts the server and the clients, two at a time, and gathers what came of each scenario.

Knows no client's packages: each runs in its own environment and reports lines of JSON.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.scenarios import MARK

ROOT: Final = Path(__file__).parent.parent
NODE: Final = "node"
SERVER: Final = (sys.executable, "-c", "from playground.cli import main; main()", "--port", "0")
CLIENT_S: Final = 420
AT_ONCE: Final = 2


@dataclass(frozen=True)
class Member:
    """A client of the matrix: its module, and the environment that it runs in."""

    module: str
    environment: str

    def command(self, environments: Path, url: str) -> list[str]:
        """Return the command that runs its scenarios."""
        if self.environment == NODE:
            return ["node", str(Path(__file__).parent / NODE / f"{self.module}.mjs"), url]
        python = environments / self.environment / "bin" / "python"
        return [str(python), "-m", f"clients.{self.module}", url]


MEMBERS: Final = (
    # The longest first, so that none is waited for at the end.
    Member("together_python", "together1"),
    Member("dspy_client", "frameworks"),
    Member("openai_python", "sdks"),
    Member("together_python", "sdks"),
    Member("anthropic_python", "sdks"),
    Member("mistral_python", "sdks"),
    Member("openai_agents", "sdks"),
    Member("langchain_clients", "sdks"),
    Member("pydantic_ai_client", "sdks"),
    Member("llm_client", "sdks"),
    Member("gradio_page", "sdks"),
    Member("litellm_client", "frameworks"),
    Member("instructor_client", "frameworks"),
    Member("llama_index_client", "frameworks"),
    Member("smolagents_client", "frameworks"),
    Member("lm_eval_client", "frameworks"),
    Member("openai_node", NODE),
    Member("together_node", NODE),
    Member("ai_sdk", NODE),
    Member("promptfoo", NODE),
)


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario of one client. `fault`: why the client itself cannot do it."""

    client: str
    version: str
    scenario: str
    passed: bool
    fault: str
    error: str
    seconds: float

    @property
    def expected(self) -> bool:
        """Whether it passed, or failed where the client is known to be at fault."""
        return self.passed != bool(self.fault)


@contextmanager
def served(log: Path) -> Iterator[str]:
    """Start the playground with the embedded model; yields its address once the model is loaded."""
    with (
        tempfile.TemporaryDirectory() as home,
        log.open("w") as errors,
        subprocess.Popen(
            (*SERVER, "--home", home, "--model", "embedded"),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        ) as server,
    ):
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None, "the server did not start"
        server.stdout.readline()
        try:
            yield found.group()
        finally:
            server.terminate()


def run_member(member: Member, environments: Path, url: str) -> list[Outcome]:
    """Run a client's scenarios. One that ends in the middle has an outcome that says so."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OPENAI_API_KEY": "any",
        "OPENAI_BASE_URL": f"{url}/v1",
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                member.command(environments, url),
                capture_output=True,
                text=True,
                timeout=CLIENT_S,
                env={**environment, "HOME": folder},
                cwd=folder,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            output = error.stdout.decode() if isinstance(error.stdout, bytes) else ""
            return [*_outcomes(output), _ended(member, f"not done after {CLIENT_S} s")]
    outcomes = _outcomes(done.stdout)
    if done.returncode or not outcomes:
        outcomes.append(_ended(member, done.stderr[-600:]))
    return outcomes


def run_all(environments: Path, names: list[str], log: Path) -> list[Outcome]:
    """Run the members of these names, or all of them; outcomes in the order of the members."""
    members = [each for each in MEMBERS if not names or each.module in names]
    with served(log) as url, ThreadPoolExecutor(AT_ONCE) as pool:
        runs = pool.map(lambda member: run_member(member, environments, url), members)
        return [outcome for run in runs for outcome in run]


def _outcomes(output: str) -> list[Outcome]:
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    return [Outcome(**json.loads(line.removeprefix(MARK))) for line in lines]


def _ended(member: Member, error: str) -> Outcome:
    return Outcome(member.module, "", "runs to its end", False, "", error, 0.0)
