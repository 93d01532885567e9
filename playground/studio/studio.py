"""The studio: everything about experts that the page and the API offer, over one running engine.

Rows are checked, jobs trained on a twin of the resident base, finished adapters judged, published,
promoted and rolled back while requests go on. Knows no page and no HTTP.
"""

import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

import finetune
from finetune.data.dataset import tokenize
from finetune.data.preview import ExamplePreview, preview_of
from finetune.data.report import DataReport, report
from finetune.data.rows import Conversation, Preference, Row, read_rows
from finetune.formats.mistral_finetune import convert, is_mistral_finetune
from finetune.recipe import Recipe
from finetune.training.plan import TrainingPlan, plan_for
from finetune.training.train import Trained, TrainingHooks
from playground.errors import Conflict, InvalidSettings, PlaygroundError, UnknownModel
from playground.evaluation.report_card import to_html, to_json, to_markdown
from playground.evaluation.run import REGRESSION_FILE, Asked, Host, fitting, report_card
from playground.models.adapters import check_fits, read_adapter
from playground.models.download import locate
from playground.models.loaded import LoadedModel
from playground.models.plan import available_bytes, kv_bytes_per_token
from playground.models.shared_weights import shared_weight_copy
from playground.protocol import ModelInfo
from playground.store.adapters import AdapterStore, Version
from playground.studio.jobs import Job, Jobs
from playground.studio.jobs.isolated import train_in_subprocess
from playground.studio.jobs.job import CARD_STEM
from playground.studio.runs import Run, execute, read_data

SAMPLES = Path(finetune.__file__).parent / "samples"
"""``catalogue.jsonl`` and ``catalogue-eval.jsonl``: products that nobody has heard of."""
JUDGED_ROWS = 200


class Studio:
    """Jobs and adapters of one server. Use it as a context manager.

    ``turn`` is the engine's throttle. With ``isolated`` each job trains in a process of its own,
    which loads a base of its own: for a second GPU, or another base than the resident one. A report
    card asks ``judged_rows`` of each kind at most.
    """

    def __init__(
        self,
        home: Path,
        loaded: LoadedModel,
        host: Host,
        turn: Callable[[threading.Event], None] | None = None,
        *,
        isolated: bool = False,
        judged_rows: int = JUDGED_ROWS,
    ) -> None:
        self._home = home
        self._judged_rows = judged_rows
        self._loaded = loaded
        self._host = host
        self.isolated = isolated
        self.store = AdapterStore(home / "adapters")
        turn = None if isolated else turn
        self.jobs = Jobs(home, self._train, self._make_card, turn, self._publish_run)

    def __enter__(self) -> "Studio":
        self.jobs.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.jobs.close()

    def serve_promoted(self) -> list[str]:
        """Serve what the store's names stand for; returns what could not be, and why."""
        problems = []
        for version in self.store.promoted():
            try:
                self._host.load_adapter(version.folder, version.name)
            except PlaygroundError as error:
                problems.append(f"adapter {version.name}/{version.version}: {error.message}")
        return problems

    @property
    def base(self) -> str:
        """Where the resident base comes from, as recipes name it."""
        return self._loaded.spec.source

    # Rows and recipes

    def for_base(self, recipe: Recipe) -> Recipe:
        """The recipe on the base that is resident, as it is quantized."""
        spec = self._loaded.spec
        return replace(
            recipe, base_model=spec.source, quantization=spec.quantization, precision=spec.precision
        )

    def check(
        self, files: Sequence[Path], recipe: Recipe, evaluation: Path | None = None
    ) -> DataReport:
        """What is in the files; see `finetune.data.report`."""
        return report(files, self._loaded.tokenizer, recipe, evaluation, self._home)

    def preview(self, file: Path, line: int, recipe: Recipe) -> list[ExamplePreview]:
        """Return the training examples of a line's row, trained tokens told from masked ones.

        Raises `InvalidSettings` if that line holds no row.
        """
        rows: list[Row] = [row for row in read_rows(file).rows if row.line == line]
        if not rows:
            raise InvalidSettings(f"line {line} of {file.name} holds no row that can be trained")
        done = tokenize(rows, self._loaded.tokenizer, recipe.max_length, file.name)
        if done.errors:
            raise InvalidSettings(str(done.errors[0]))
        examples = [
            *done.examples,
            *(example for pair in done.pairs for example in pair.examples()),
        ]
        return [preview_of(example, self._loaded.tokenizer) for example in examples]

    def plan(self, recipe: Recipe) -> tuple[TrainingPlan, int, int]:
        """What training takes, base included; the keys and values of one whole context, which
        serving may take beside it; and the bytes that there are for all: what is free, and what the
        resident base takes already."""
        model = self._loaded.model
        found = plan_for(self.for_base(recipe), model.config, model.device)
        cache = kv_bytes_per_token(model.config, model.dtype.itemsize) * self._loaded.context_length
        free = available_bytes(model.device) + (0 if self.isolated else found.weights)
        return found, cache, free

    def train(
        self,
        name: str,
        recipe: Recipe,
        files: Sequence[Path],
        evaluation: Path | None = None,
        *,
        publishes: bool = False,
    ) -> Job:
        """Queue a job, which ``publishes`` and promotes its adapter by itself if asked to.

        Raises `InvalidSettings` for rows of which nothing would be learned.
        """
        recipe = recipe if self.isolated else self.for_base(recipe)
        found = self.check(files, recipe, evaluation)
        if not found.trained:
            first = f": {found.errors[0]}" if found.errors else ""
            raise InvalidSettings(f"no token of these rows would be trained{first}")
        return self.jobs.add(name, recipe, files, evaluation, publishes=publishes)

    # Adapters

    def try_checkpoint(self, job_id: str, step: int | None = None) -> ModelInfo:
        """Serve a job's checkpoint, or its finished adapter, to talk to. Raises `Conflict` if it is
        not there (any more)."""
        job = self.jobs.find(job_id)
        if step is None:
            folder = job.adapter
        else:
            wanted = f"checkpoint-{step}"
            folder = next((each for each in job.checkpoints if each.name == wanted), None)
        if folder is None:
            raise Conflict(f"job {job_id} has no {f'checkpoint {step}' if step else 'adapter'} yet")
        name = f"{job.run.name}.{f'step-{step}' if step is not None else 'unpublished'}"
        return self._host.load_adapter(folder, name)

    def try_version(self, name: str, version: str) -> ModelInfo:
        """Serve a version under a name of its own, ``NAME.v2``, whether promoted or not."""
        found = self.store.find(name, version)
        return self._host.load_adapter(found.folder, f"{name}.{found.version}")

    def publish(self, job_id: str, name: str | None = None, *, promote: bool = True) -> Version:
        """Make a finished job's adapter the next version of a name, and serve it."""
        job = self.jobs.find(job_id)
        if job.adapter is None:
            raise Conflict(f"job {job_id} has no adapter yet: it is {job.state}")
        version = self.store.publish(job.adapter, name or job.run.name)
        self.jobs.note_published(job_id, f"{version.name}/{version.version}")
        return self.promote(version.name, version.version) if promote else version

    def import_adapter(self, folder: Path, name: str) -> Version:
        """Take in an adapter made elsewhere, in PEFT's format or mistral-finetune's; not promoted.

        Raises `BrokenAdapter` or `WrongBase`; nothing is kept then.
        """
        with tempfile.TemporaryDirectory() as temporary:
            if is_mistral_finetune(folder):
                convert(folder, Path(temporary) / "peft", self._loaded.model.config)
                folder = Path(temporary) / "peft"
            adapter = read_adapter(folder, name)
            check_fits(adapter, self._loaded)
            facts = {} if adapter.card else {"base_hash": self._loaded.weights_hash}
            return self.store.publish(folder, name, facts)

    def promote(self, name: str, version: str) -> Version:
        """Let a name stand for a version, at once and without losing a request."""
        found = self.store.find(name, version)
        self._host.load_adapter(found.folder, name)
        return self.store.promote(name, version)

    def roll_back(self, name: str) -> Version:
        """Let a name stand for what it stood for before."""
        found = self.store.roll_back(name)
        self._host.load_adapter(found.folder, name)
        return found

    def retire(self, name: str) -> None:
        """Take a name out of service; its versions stay in the store."""
        self.store.retire(name)
        try:
            self._host.unload_adapter(name)
        except UnknownModel:
            return

    def delete(self, name: str, version: str) -> None:
        """Remove a version's files. Raises `Conflict` while it is promoted or answers requests."""
        found = self.store.find(name, version)
        uses = self._host.uses_of(found.content_hash)
        if uses:
            raise Conflict(f"{name}/{version} answers {uses} requests at this moment")
        self.store.delete(name, version)

    # How the queue trains and judges

    def _train(self, run: Run, watch: TrainingHooks) -> Trained:
        if self.isolated:
            return train_in_subprocess(run, watch)
        spec, recipe = self._loaded.spec, run.recipe
        if (recipe.base_model, recipe.quantization) != (spec.source, spec.quantization):
            raise InvalidSettings(
                f"the recipe's base is {recipe.base_model} ({recipe.quantization}), and {spec.source} "
                f"({spec.quantization}) is resident; train it with --isolated"
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return execute(run, self._loaded, watch)

    def _publish_run(self, run: Run) -> str:
        assert run.adapter
        version = self.store.publish(run.adapter, run.name)
        self.promote(version.name, version.version)
        return f"{version.name}/{version.version}"

    def _make_card(self, run: Run) -> str:
        """Write the report card beside the adapter; returns its verdict."""
        assert run.adapter
        loaded, max_length = shared_weight_copy(self._loaded), run.recipe.max_length
        data = read_data(run, loaded)
        held = _as_questions(data.held.rows)
        rows, trained = (held, False) if held else (_as_questions(data.train.rows), True)
        name = "Training rows" if trained else "Held-out rows"
        asked = [Asked(name, fitting(rows[: self._judged_rows], loaded, max_length), trained)]
        general = locate(loaded.spec) / REGRESSION_FILE
        if general.is_file():
            others = read_rows(general).conversations[: self._judged_rows]
            asked.append(Asked("General rows", fitting(others, loaded, max_length)))
        adapters = [run.adapter]
        if run.name in self.store.names():
            before = self.store.find(run.name)
            adapters = [before.folder, *adapters] if before.promoted else adapters
        card = report_card(self._host, loaded, adapters, asked, max_length=max_length)
        for ending, write in (("json", to_json), ("md", to_markdown), ("html", to_html)):
            path = run.adapter / f"{CARD_STEM}.{ending}"
            path.write_text(write(card), encoding="utf-8")
        return f"verdict: {card.verdict}"


def _as_questions(rows: Sequence[Row]) -> list[Conversation]:
    """Rows that ask something and know the answer; of a preference, the preferred one."""
    found = []
    for row in rows:
        if isinstance(row, Preference):
            row = Conversation((*row.messages, row.chosen), row.tools, row.line)
        if isinstance(row, Conversation):
            found.append(row)
    return found
