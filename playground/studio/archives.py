"""Archives of a training job's weights, to download: the adapter, or the base with it merged in.

An archive is made once and lies in the run's folder, so that a broken download can go on.
"""

import tarfile
from pathlib import Path

from playground.errors import Conflict
from playground.files import atomic_folder
from playground.models.export.request import Target, make_request
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.starting_points import weights_of

ARCHIVES_FOLDER = "archives"
COMPRESSION = 1
"""gzip's fastest: weights hardly shrink."""


def archive_of(job: TrainingSnapshot, step: int, target: Target, home: Path) -> Path:
    """Return the ``.tar.gz`` of a job's weights after a step, or of the finished ones for 0.

    The files lie at its top, in PEFT's format or as a whole model. Takes as long as an export.
    Raises `Conflict` if there are no such weights, and what `export` raises.
    """
    from playground.models.export.export import export  # imports torch

    weights = weights_of(job, step)
    if weights is None:
        what = f"checkpoint of step {step}" if step else "adapter yet"
        raise Conflict(f"job {job.id} has no {what}: it is {job.state}")
    name = f"{job.name}-{weights.name}-{target}"
    folder = job.folder / ARCHIVES_FOLDER / name
    archive = folder / f"{name}.tar.gz"
    if archive.is_file():
        return archive
    try:
        with atomic_folder(folder) as making:
            # a checkpoint has no card that names its base
            base = job.recipe.base_model if job.recipe and weights != job.adapter else None
            request = make_request(weights, target, home, out=making / target, model=base)
            exported = export(request)
            with tarfile.open(making / archive.name, "w:gz", compresslevel=COMPRESSION) as tar:
                for file in exported.files:
                    tar.add(file, arcname=str(file.relative_to(exported.folder)))
                    file.unlink()
    except FileExistsError:  # another request made it meanwhile
        pass
    return archive
