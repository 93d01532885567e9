"""Build the parts from the settings: model, engine, tools, stores.

`playground.assembly` puts them together, `playground.server` API and page before them. Heavy
libraries take seconds to import, so functions import them: a wrong setting or a port in use is
reported before that.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from playground.errors import InvalidSettings, NoNetwork, PlaygroundError
from playground.files import modified_s
from playground.settings import Settings

if TYPE_CHECKING:
    from playground.access import Access, Budgets
    from playground.backends.local import LocalBackend
    from playground.backends.openai_compatible import AnyRemote
    from playground.backends.router import ModelRouter
    from playground.engine import Limits
    from playground.lab.batches import Batches
    from playground.lab.prompts import Prompts
    from playground.lab.sweeps.sweeps import Sweeps
    from playground.lab.usage import UsageMeter
    from playground.models.loaded import LoadedModel
    from playground.models.spec import ModelSpec
    from playground.protocol import Backend, ModelInfo
    from playground.store import Feedback
    from playground.store.completions import Completions
    from playground.store.conversations import Conversations
    from playground.store.responses import Responses
    from playground.tools import Toolbox
    from playground.tracing import Tracer

CONFIG_FILE = "config.json"
UNKNOWN_WINDOW = 4096
"""Tokens of context that the page counts with until a model without a config here is loaded."""

FLUSH_S = 1.0
"""Time for answers that ended to be counted, before the next one of the same client begins."""
BATCH_RESERVE = 8
"""Requests of batches that wait in the engine, so that it never runs short of them."""


def model_spec(settings: Settings) -> "ModelSpec":
    """Return the model to load, as the settings say."""
    from playground.models.spec import ModelSpec

    return ModelSpec(settings.model.name, **settings.model.model_dump(exclude={"name"}))


def engine_limits(settings: Settings) -> "Limits":
    """Return the engine's limits, as the settings say."""
    from playground.engine import Limits

    return Limits(
        **settings.engine.model_dump(),
        training=settings.training.priority,
    )


def load_model(settings: Settings) -> "LoadedModel":
    """Load the model. Where nobody chose one and the default cannot be fetched, it is the embedded
    one, and a warning says so. Raises a `ModelLoadError`."""
    from playground.models.loader import load

    spec = model_spec(settings)
    try:
        return load(spec, home=settings.home)
    except NoNetwork as problem:
        if "name" in settings.model.model_fields_set:
            raise
        logger = logging.getLogger(__name__)
        logger.warning("%s; the embedded model answers instead", problem.message)
        return load(replace(spec, source="embedded"), home=settings.home)


def expected_model(settings: Settings) -> "ModelInfo":
    """Describe the model that the settings name before it is loaded: by its catalogue entry, or by
    the folder's config."""
    from playground.models.catalogue import find, served_name

    spec = model_spec(settings)
    entry = find(spec.source)
    window = entry.context_length if entry else _window_of_folder(Path(spec.source).expanduser())
    return _info(spec, served_name(spec.source), spec.context_length or window)


def start_backend(settings: Settings) -> "LocalBackend":
    """Load the model and the adapters that the settings name. Raises a `ModelLoadError`."""
    from playground.backends.local import LocalBackend

    loaded = load_model(settings)
    backend = LocalBackend(
        loaded,
        _describe(loaded),
        engine_limits(settings),
        stream_interval_s=settings.server.stream_interval_ms / 1000,
        schema_in_prompt=settings.structured.schema_in_prompt,
    )
    try:
        for adapter in settings.adapters.load:
            name, _, folder = adapter.rpartition("=")
            backend.load_adapter(Path(folder).expanduser(), name or None)
    except PlaygroundError:
        backend.close()
        raise
    return backend


@contextmanager
def open_remotes(settings: Settings) -> "Iterator[tuple[AnyRemote, ...]]":
    """Open the other servers that the settings name; each is asked what it serves meanwhile.

    Raises `InvalidSettings` for a key that is not where the settings say.
    """
    if not settings.backends:
        yield ()
        return
    from playground.backends.openai_compatible import remote_of
    from playground.backends.openai_compatible.io_loop import IoLoop

    with closing(IoLoop()) as io:
        remotes = tuple(remote_of(backend, io) for backend in settings.backends)
        try:
            for remote in remotes:
                remote.start()
            yield remotes
        finally:
            for remote in remotes:
                remote.close()


@contextmanager
def beside_remotes(
    settings: Settings, resident: "LocalBackend", source: str
) -> "Iterator[ModelRouter]":
    """Open the other servers beside a model of this process, each asked what it serves by now.
    Answers are counted as those of ``source``."""
    from playground.backends.router import ModelRouter
    from playground.protocol.origin import coming_from

    with (
        open_usage(settings, resident.default_model.name) as usage,
        open_remotes(settings) as remotes,
        coming_from(source),
    ):
        for remote in remotes:
            try:
                asyncio.run(remote.refresh())
            except PlaygroundError as error:  # whoever asks it hears of it, too
                logging.getLogger(__name__).warning("%s", error.message)
        yield ModelRouter(resident, remotes, usage.watch)


@contextmanager
def open_tracer(settings: Settings) -> "Iterator[Tracer | None]":
    """Begin to send traces where the settings say; None, and nothing imported, where nowhere.

    Raises `InvalidSettings` if what sends them is not installed.
    """
    chosen = settings.telemetry
    if chosen.otlp_endpoint is None:
        yield None
        return
    try:
        from playground.telemetry import OtlpTracer
    except ImportError as error:
        problem = f"pip install 'mistral-playground[otel]' to send traces: {error}"
        raise InvalidSettings(f"telemetry.otlp_endpoint: {problem}") from error
    with closing(OtlpTracer(chosen.otlp_endpoint, captures_content=chosen.trace_content)) as tracer:
        yield tracer


@contextmanager
def open_people(settings: Settings) -> "Iterator[Access]":
    """Open the accounts and keys; raises `InvalidSettings` for a server open by mistake."""
    from playground.access import open_access

    access = open_access(settings)
    try:
        yield access
    finally:
        if access.people:
            access.people.close()
        if access.links:
            access.links.close()


@contextmanager
def open_feedback(settings: Settings) -> "Iterator[Feedback]":
    """Open the votes, edits and thumbs that people gave to answers."""
    from playground.store import Feedback

    with closing(Feedback(settings.home, settings.store.url)) as feedback:
        yield feedback


@contextmanager
def open_responses(settings: Settings) -> "Iterator[Responses]":
    """Open the stored responses of the API."""
    from playground.store.responses import Responses

    with closing(Responses(settings.home, settings.store.url)) as responses:
        yield responses


@contextmanager
def open_prompts(settings: Settings) -> "Iterator[Prompts]":
    """Open the stored prompts."""
    from playground.lab.prompts import Prompts

    with closing(Prompts(settings.home, settings.store.url)) as prompts:
        yield prompts


@contextmanager
def open_sweeps(
    settings: Settings, backend: "Backend", prompts: "Prompts", conversations: "Conversations"
) -> "Iterator[Sweeps]":
    """Open the sweeps of this home; those that were running go on once the model is loaded.

    Raises `InvalidSettings` for a grader that is no Python expression.
    """
    from playground.lab.history.exporting import latest_rows
    from playground.lab.sweeps.stored_prompts import StoredPrompts
    from playground.lab.sweeps.sweeps import Sweeps, named_expressions

    expressions = named_expressions(settings.sweeps.expressions)
    history = partial(latest_rows, conversations)
    stored = StoredPrompts(prompts)
    folders = settings.sweeps.task_folders
    with Sweeps(settings.home, backend, expressions, stored, history, folders) as sweeps:
        yield sweeps


@contextmanager
def open_completions(settings: Settings) -> "Iterator[Completions]":
    """Open the stored chat completions of the API."""
    from playground.store.completions import Completions

    with closing(Completions(settings.home, url=settings.store.url)) as completions:
        yield completions


@contextmanager
def open_batches(settings: Settings) -> "Iterator[Batches]":
    """Open the batches of the API. As many of their requests as the engine answers at once, and a
    few more, are handed over together."""
    from playground.lab.batches import Batches
    from playground.store.uploads import Uploads

    concurrency = settings.engine.max_sequences + BATCH_RESERVE
    uploads, url = Uploads(settings.home), settings.store.url
    with closing(Batches(settings.home, uploads, concurrency, url=url)) as batches:
        yield batches


@contextmanager
def open_conversations(settings: Settings) -> "Iterator[Conversations]":
    """Open the history: the conversations of page and API."""
    from playground.store.conversations import Conversations

    with closing(Conversations(settings.home, settings.store.url)) as conversations:
        yield conversations


@contextmanager
def open_usage(settings: Settings, base: str) -> "Iterator[UsageMeter]":
    """Open what answers take; ``base`` is the resident model's name. Close the backends before."""
    from playground.lab.usage import UsageMeter
    from playground.store.usage import UsageStore

    chosen = settings.usage
    store = UsageStore(
        settings.home, settings.store.url, keep_days=chosen.keep_days,
        keep_answers=chosen.keep_answers,
    )  # fmt: skip
    with closing(UsageMeter(store, chosen, base)) as meter:
        yield meter


def budgets_of(settings: Settings, access: "Access", usage: "UsageMeter") -> "Budgets | None":
    """Return what answers may cost; None where there are no accounts."""
    from playground.access import Budgets

    if access.people is None:
        return None
    return Budgets(
        settings.limits,
        settings.usage,
        access.people,
        usage.store,
        partial(usage.flush, FLUSH_S),
    )


@contextmanager
def open_tools(settings: Settings) -> "Iterator[Toolbox]":
    """Start the tools that run on this machine; none unless ``tools.run`` is set.

    Raises `InvalidSettings` for a file or a server that gives none.
    """
    from playground.tools import Toolbox, built_in_tools, functions_of_file

    chosen = settings.tools
    if not chosen.run:
        if chosen.files or chosen.documents or chosen.mcp_servers:
            raise InvalidSettings("tools are given and do not run; add --run-tools")
        yield Toolbox()
        return
    if chosen.documents is not None and not chosen.documents.is_dir():
        raise InvalidSettings(f"tools.documents: {chosen.documents} is no folder")
    tools = list(built_in_tools(chosen.documents))
    for path in chosen.files:
        tools += functions_of_file(path)
    servers = None
    if chosen.mcp_servers:
        from playground.tools.mcp_servers import McpServers

        servers = McpServers(chosen.mcp_servers)
    try:
        yield Toolbox([*tools, *(servers.tools if servers else ())])
    finally:
        if servers:
            servers.close()


def _describe(loaded: "LoadedModel") -> "ModelInfo":
    info = _info(loaded.spec, loaded.name, loaded.context_length)
    return replace(info, created=modified_s(Path(loaded.model.name_or_path) / CONFIG_FILE))


def _info(spec: "ModelSpec", name: str, context_length: int) -> "ModelInfo":
    from playground.models.catalogue import find
    from playground.protocol import ModelInfo, Sampling

    entry = find(spec.source)
    return ModelInfo(
        name=name,
        context_length=context_length,
        description=entry.description if entry else f"Loaded from {spec.source}.",
        defaults=entry.sampling if entry else Sampling(),
    )


def _window_of_folder(folder: Path) -> int:
    """Return the longest context that a folder's config names, for as long as it is not loaded."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return int(config["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN_WINDOW
