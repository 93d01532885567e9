"""Whatever describes a sweep: ours, OpenAI's evals or promptfoo's, told apart by its fields."""

from collections.abc import Mapping

from playground.lab.sweeps.definition import Sweep
from playground.lab.sweeps.files import SweepFiles
from playground.lab.sweeps.openai_evals import is_openai_eval, sweep_of_eval
from playground.lab.sweeps.promptfoo import is_promptfoo, sweep_of_promptfoo
from playground.lab.sweeps.reading import Sources, read_sweep
from playground.protocol.json_types import Json

NO_FILES = SweepFiles()


def sweep_of(body: Mapping[str, Json], sources: Sources, files: SweepFiles = NO_FILES) -> Sweep:
    """Return the sweep that an object describes. Raises `InvalidRequest` with the place."""
    if is_openai_eval(body):
        body = sweep_of_eval(body)
    elif is_promptfoo(body):
        body = sweep_of_promptfoo(body, files)
    return read_sweep(body, sources)
