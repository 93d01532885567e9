"""The studio: training jobs and adapters of one server, over its running engine.

Rows are checked, jobs trained on a shared-weight copy of the resident base, finished adapters
evaluated, published, promoted and rolled back while requests go on. Knows no page and no HTTP.

The page is built over it before torch is imported, so methods import what needs torch, and only
once the model is loaded: two threads importing the same libraries at once may meet half of them.
"""

import logging
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import finetune
from finetune.check import check_rows
from finetune.child_process import NICENESS
from finetune.data.dataset import PrepareHooks, prepare
from finetune.data.formats import NO_COLUMNS
from finetune.data.preview import ExamplePreview, preview_of, preview_row
from finetune.recipe import UNSERVED_MODULES, Recipe
from finetune.report import DataReport
from finetune.training.checkpoints import step_of
from playground.errors import Conflict, UnknownAdapter, UnknownJob, UnknownModel
from playground.jobs import Jobs, JobSummary
from playground.jobs.kind import JobKind
from playground.jobs.traced import TracedKind
from playground.models.adapters import check_fits, read_adapter
from playground.models.catalogue import check_not_base
from playground.models.export.request import Exported
from playground.models.loaded import LoadedModel
from playground.models.resident import ResidentModel
from playground.protocol import AdapterBackend, ModelInfo
from playground.store.adapters import AdapterStore, Version
from playground.studio.exports import export_version
from playground.studio.kinds.train import (
    PROMOTED,
    PUBLISH,
    PUBLISHED,
    TRAIN,
    TrainingSnapshot,
    TrainKind,
)
from playground.studio.model_names import (
    checkpoint_name,
    parse_checkpoint_name,
    parse_version_name,
    version_name,
)
from playground.studio.public_tasks import require_lm_eval
from playground.studio.runs import RUNS_FOLDER, new_run
from playground.studio.store_watch import StoreWatch
from playground.studio.training_work import MAX_JUDGED_ROWS, TrainingWork
from playground.studio.trials import Trials
from playground.tracing import Tracer

if TYPE_CHECKING:
    from finetune.training.plan import TrainingPlan

logger = logging.getLogger(__name__)

SAMPLES = Path(finetune.__file__).parent / "samples"
"""``catalogue.jsonl`` and ``catalogue-eval.jsonl``: made-up products, which no model knows."""


class Studio:
    """Jobs and adapters of one server. Use it as a context manager, or call `start` once the model
    is loaded, and `close`; what needs the model raises `ModelLoading` before.

    ``throttle`` lets decoding go before each layer of training (`TrainingHooks`). With ``isolated``
    each job trains in a process of its own, which loads a base of its own: for a second GPU, or
    another base than the resident one. A report card asks ``judged_rows`` of each set at most;
    ``task_folders`` hold task files for its public tasks, beside lm-eval's own. With a ``tracer``
    each job is a span.
    """

    def __init__(
        self,
        home: Path,
        base: LoadedModel | ResidentModel,
        host: AdapterBackend,
        throttle: Callable[[threading.Event], None] | None = None,
        *,
        isolated: bool = False,
        judged_rows: int = MAX_JUDGED_ROWS,
        task_folders: Sequence[Path] = (),
        tracer: Tracer | None = None,
    ) -> None:
        self._home = home
        self._resident = base if isinstance(base, ResidentModel) else ResidentModel.of(base)
        self._host = host
        self._trials = Trials(host)
        self.isolated = isolated
        self.store = AdapterStore(home / "adapters")
        self._watch = StoreWatch(self.store, host, self._trials)
        work = TrainingWork(
            home, self._resident, host, self.store, self.promote, throttle, isolated, judged_rows,
            task_folders,
        )  # fmt: skip
        kind: JobKind = TrainKind(
            work.train, work.make_card, work.publish, self._trials.unload, work.validate
        )
        kinds = [TracedKind(kind, tracer) if tracer else kind]
        self.jobs = Jobs(home / RUNS_FOLDER, kinds, "train")

    def __enter__(self) -> "Studio":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to work at jobs and to follow the store."""
        self.jobs.start()
        self._watch.start()
        if self.training_unavailable:
            logger.warning("serving without training: %s", self.training_unavailable)

    def close(self) -> None:
        """End what is running; jobs go on at the next start."""
        self.jobs.close()
        self._watch.close()
        self._trials.close()

    @property
    def training_unavailable(self) -> str | None:
        """Why no job can be started here, such as another server that trains in the same home."""
        return self.jobs.unavailable

    def serve_promoted(self) -> list[str]:
        """Serve the promoted versions of the store; returns those that could not be, and why."""
        return self._watch.serve_all()

    def follow_store(self) -> list[str]:
        """Serve what other processes have promoted since; done every second by itself."""
        return self._watch.sync()

    @property
    def base(self) -> str:
        """The resident base, as recipes name it."""
        return self._resident.spec.source

    @property
    def base_model(self) -> str:
        """The name under which the resident base is served."""
        return self._resident.name

    @property
    def home(self) -> Path:
        """``PLAYGROUND_HOME``."""
        return self._home

    @property
    def target_modules(self) -> list[str]:
        """Names of the resident base's modules that an adapter can have."""
        modules = self._resident.require_loaded().model.named_modules()
        linear = {name.rpartition(".")[2] for name, each in modules if hasattr(each, "in_features")}
        return sorted(linear - {*UNSERVED_MODULES})

    # Rows and recipes

    def for_base(self, recipe: Recipe) -> Recipe:
        """Return the recipe on the resident base, as it is quantized."""
        spec = self._resident.spec
        return replace(
            recipe, base_model=spec.source, quantization=spec.quantization, precision=spec.precision
        )

    def check(
        self,
        files: Sequence[Path],
        recipe: Recipe,
        evaluation: Path | None = None,
        columns: Mapping[str, str] = NO_COLUMNS,
        on_rows: Callable[[int], None] | None = None,
    ) -> DataReport:
        """Report on the files; they are read and tokenized the first time only.

        ``columns`` maps other names of columns to the fields of a format; ``on_rows`` is told how
        many rows are done.
        """
        hooks = PrepareHooks(on_rows, niceness=NICENESS)
        tokenizer = self._resident.require_loaded().tokenizer
        dataset = prepare(files, tokenizer, self._home, evaluation, columns, hooks)
        return check_rows(dataset, recipe, niceness=NICENESS).report

    def preview(
        self,
        file: Path,
        line: int | None,
        recipe: Recipe,
        columns: Mapping[str, str] = NO_COLUMNS,
    ) -> list[ExamplePreview]:
        """Return the training examples of a line's row, or of the first row, with their trained and
        their masked tokens.

        Raises `InvalidSettings` if that line holds no row.
        """
        tokenizer = self._resident.require_loaded().tokenizer
        examples = preview_row(file, line, tokenizer, recipe.max_length, columns)
        return [preview_of(example, tokenizer) for example in examples]

    def plan(self, recipe: Recipe) -> "tuple[TrainingPlan, int, int]":
        """What training takes, base included; the keys and values of one whole context, which
        serving may take beside it; and the bytes that there are for all: what is free, and what the
        resident base takes already."""
        loaded = self._resident.require_loaded()
        model = loaded.model
        from finetune.training.plan import plan_for  # these import torch
        from playground.models.plan import available_bytes, kv_bytes_per_token

        plan = plan_for(self.for_base(recipe), model.config, model.device)
        cache = kv_bytes_per_token(model.config, model.dtype.itemsize) * loaded.context_length
        free = available_bytes(model.device) + (0 if self.isolated else plan.weights)
        return plan, cache, free

    def train(
        self,
        name: str,
        recipe: Recipe,
        files: Sequence[Path],
        evaluation: Path | None = None,
        *,
        publishes: bool = False,
        request: Mapping[str, object] | None = None,
        columns: Mapping[str, str] = NO_COLUMNS,
    ) -> TrainingSnapshot:
        """Queue a job, which checks its rows first; one that ``publishes`` also publishes its
        adapter once it is done, and promotes it if its report card says so.

        ``request`` is kept with the job, as its ``input``. Raises `Conflict` where this server
        cannot train, `InvalidSettings` for public tasks without lm-eval.
        """
        self._resident.require_loaded()
        self.jobs.require_available()
        check_not_base(name, self.base)
        require_lm_eval(recipe)
        recipe = recipe if self.isolated else self.for_base(recipe)
        run = new_run(self._home, name, recipe, files, evaluation, columns)
        job = self.jobs.add(run.folder, TRAIN, name, {**(request or {}), PUBLISH: publishes})
        return self.training_job(job.id)

    # Jobs

    def training_jobs(self) -> tuple[JobSummary, ...]:
        """All training jobs, the latest first."""
        return self.jobs.list(TRAIN)

    def training_job(self, job_id: str) -> TrainingSnapshot:
        """Return everything that is shown of a training job. Raises `UnknownJob`."""
        job = self.jobs.snapshot(job_id)
        if not isinstance(job, TrainingSnapshot):
            raise UnknownJob(job_id)
        return job

    # Adapters

    def try_checkpoint(self, job_id: str, step: int | None = None, user: str = "") -> ModelInfo:
        """Serve a job's checkpoint, or its finished adapter, in place of the user's trial before.

        Raises `Conflict` if it is not there (any more).
        """
        job = self.training_job(job_id)
        folder = job.adapter if step is None else _checkpoint_at(job, step)
        if folder is None:
            raise Conflict(f"job {job_id} has no {f'checkpoint {step}' if step else 'adapter'} yet")
        return self._trials.load(folder, checkpoint_name(job.name, step), job_id, user)

    def try_version(self, name: str, version: str, user: str = "") -> ModelInfo:
        """Serve a version as ``NAME.v2``, promoted or not, in place of the user's trial before."""
        stored = self.store.find(name, version)
        served_as = version_name(name, stored.version)
        return self._trials.load(stored.folder, served_as, f"{name}/{stored.version}", user)

    def end_trials(self, user: str) -> None:
        """Stop serving what a user tries."""
        self._trials.end(user)

    def checkpoint_model(self, job_id: str, step: int) -> str:
        """Return the name of the model that a job's checkpoint is served as on request."""
        return f"{self.base_model}:{checkpoint_name(job_id, step)}"

    def version_model(self, version: Version) -> str:
        """Return the name of the model that a version is served as on request."""
        return f"{self.base_model}:{version_name(version.name, version.version)}"

    def find_unpromoted(self, model: str) -> tuple[Path, str, str] | None:
        """Return folder, adapter name and origin of the checkpoint or version that a model name
        stands for.

        ``model`` is ``JOB.step-N``, ``NAME.step-N`` or ``NAME.vN``, with or without the base before
        it; of several jobs of one name the latest counts. None if there is nothing of that name.
        """
        adapter_name = model.removeprefix(f"{self.base_model}:")
        if version := parse_version_name(adapter_name):
            with suppress(UnknownAdapter):
                stored = self.store.find(*version)
                return stored.folder, adapter_name, f"{stored.name}/{stored.version}"
        parsed = parse_checkpoint_name(adapter_name)
        if parsed is None:
            return None
        name, step = parsed
        for summary in self.training_jobs():
            if name in (summary.id, summary.name):
                folder = _checkpoint_at(self.training_job(summary.id), step)
                if folder:
                    return folder, adapter_name, summary.id
        return None

    def serve_unpromoted(self, model: str, user: str = "") -> ModelInfo | None:
        """Serve what a model name stands for, as a trial; None if there is nothing of that name."""
        found = self.find_unpromoted(model)
        if found is None:
            return None
        folder, adapter_name, origin = found
        return self._trials.load(folder, adapter_name, origin, user)

    def publish(self, job_id: str, name: str | None = None, *, promote: bool = True) -> Version:
        """Make a finished job's adapter the next version of a name, and serve it."""
        job = self.training_job(job_id)
        if job.adapter is None:
            raise Conflict(f"job {job_id} has no adapter yet: it is {job.state}")
        check_not_base(name or job.name, self.base)
        version = self.store.publish(job.adapter, name or job.name)
        published = [*job.published, f"{version.name}/{version.version}"]
        self.jobs.add_result(job_id, **{PUBLISHED: published, PROMOTED: promote})
        return self.promote(version.name, version.version) if promote else version

    def import_adapter(self, folder: Path, name: str) -> Version:
        """Add an adapter made elsewhere, in PEFT's format or mistral-finetune's; not promoted.

        Raises `BrokenAdapter` or `WrongBase`; nothing is kept then.
        """
        check_not_base(name, self.base)
        loaded = self._resident.require_loaded()
        from finetune.formats.mistral_finetune import convert, is_mistral_finetune  # imports torch

        with tempfile.TemporaryDirectory() as temporary:
            if is_mistral_finetune(folder):
                convert(folder, Path(temporary) / "peft", loaded.model.config)
                folder = Path(temporary) / "peft"
            adapter = read_adapter(folder, name)
            check_fits(adapter, loaded)
            facts = {} if adapter.card else {"base_hash": loaded.weights_hash}
            return self.store.publish(folder, name, facts)

    def export(self, name: str, version: str, to: str, gguf_type: str = "f16") -> Exported:
        """Write a version for another program; see `export_version`. Raises `ModelLoading`."""
        self._resident.require_loaded()
        return export_version(self.store.find(name, version), self._home, to, gguf_type)

    def promote(self, name: str, version: str) -> Version:
        """Point a name at a version, at once and without losing a request.

        Raises `InvalidSettings` for the name of the base.
        """
        check_not_base(name, self.base)
        stored = self.store.find(name, version)
        self._host.load_adapter(stored.folder, name)
        promoted = self.store.promote(name, stored.version)
        self._watch.remember(name, promoted.version)
        return promoted

    def roll_back(self, name: str) -> Version:
        """Point a name at the version that was promoted before."""
        stored = self.store.roll_back(name)
        self._host.load_adapter(stored.folder, name)
        self._watch.remember(name, stored.version)
        return stored

    def retire(self, name: str) -> None:
        """Stop serving a name; its versions stay in the store."""
        self.store.retire(name)
        self._watch.remember(name, None)
        with suppress(UnknownModel):
            self._host.unload_adapter(name)

    def delete(self, name: str, version: str) -> None:
        """Remove a version's files. Raises `Conflict` while it is promoted or answers requests."""
        stored = self.store.find(name, version)
        uses = self._host.uses_of(stored.content_hash)
        if uses:
            raise Conflict(f"{name}/{version} answers {uses} requests at this moment")
        self.store.delete(name, version)
        self._trials.unload(f"{name}/{version}")

    def remove(self, name: str) -> None:
        """Stop serving a name and remove the files of all its versions.

        Raises `Conflict` while one of them answers requests, and leaves all of them then.
        """
        versions = self.store.versions(name)
        uses = sum(self._host.uses_of(stored.content_hash) for stored in versions)
        if uses:
            raise Conflict(f"{name} answers {uses} requests at this moment")
        self.retire(name)
        for stored in versions:
            self.delete(name, stored.version)


def _checkpoint_at(job: TrainingSnapshot, step: int) -> Path | None:
    return next((path for path in job.checkpoints if step_of(path) == step), None)
