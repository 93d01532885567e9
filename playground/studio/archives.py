"""Archives to download: of a training job's weights, and of what was exported.

That of a job's weights is made once and lies in the run's folder, so that a broken download can go
on. That of an export is made while it is sent, as it may be as large as the base.
"""

import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from playground.errors import Conflict
from playground.files import atomic_folder
from playground.models.export.request import Target, make_request
from playground.studio.kinds.train import TrainingSnapshot
from playground.studio.starting_points import weights_of

ARCHIVES_FOLDER = "archives"
COMPRESSION = 1
"""gzip's fastest: weights hardly shrink."""
CHUNK_BYTES = 2**20


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


def tar_chunks(folder: Path) -> Iterator[bytes]:
    """Yield an uncompressed tar of a folder, with its name at the top, in chunks of up to 1 MiB."""
    read_end, write_end = os.pipe()

    def write() -> None:
        with (
            suppress(BrokenPipeError),  # nobody reads on
            open(write_end, "wb") as sink,  # noqa: PTH123
            tarfile.open(fileobj=sink, mode="w|") as tar,
        ):
            tar.add(folder, arcname=folder.name)

    writer = threading.Thread(target=write, name="tar", daemon=True)
    writer.start()
    try:
        with open(read_end, "rb") as source:  # noqa: PTH123
            while chunk := source.read(CHUNK_BYTES):
                yield chunk
    finally:
        writer.join()
