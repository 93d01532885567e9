"""A server's parts, opened from its settings, put together and closed; the model comes later, in a
thread of its own.

Imports from every floor but the faces; functions do so, as heavy libraries take seconds to import.
Each part by itself is made in `playground.app`. Knows no socket and no signal.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from playground.app import (
    budgets_of,
    open_batches,
    open_completions,
    open_conversations,
    open_feedback,
    open_people,
    open_prompts,
    open_remotes,
    open_responses,
    open_sweeps,
    open_tools,
    open_tracer,
    open_usage,
    start_backend,
)
from playground.runtime import freeze_heap
from playground.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playground.access import Access, Budgets, FairUse
    from playground.backends.deferred import DeferredBackend
    from playground.backends.local import LocalBackend
    from playground.engine.stats import EngineStats
    from playground.lab.metrics import Metrics
    from playground.lab.usage import UsageMeter
    from playground.models.resident import ResidentModel
    from playground.protocol import Request, StreamEvent
    from playground.services import Services
    from playground.studio.studio import Studio
    from playground.tracing import Tracer

    Events = AsyncGenerator[StreamEvent, None]


class ModelLoader:
    """Loads the model in a thread of its own, while page and API answer already.

    ``failure`` is what it ended with, if it did not end well.
    """

    def __init__(
        self, settings: Settings, backend: "DeferredBackend", resident: "ResidentModel"
    ) -> None:
        self._settings = settings
        self._backend = backend
        self.resident = resident
        self._local: LocalBackend | None = None
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def start(self, studio: "Studio", then: Callable[[], None]) -> None:
        """Begin to load; ``studio`` is started once the model is there, and ``then`` called at the
        end in any case."""
        self._thread = threading.Thread(
            target=self._run, args=(studio, then), name="model loader", daemon=True
        )
        self._thread.start()

    @property
    def loading(self) -> bool:
        """Whether the thread is at it."""
        return self._thread is not None and self._thread.is_alive()

    def throttle(self, stop_event: threading.Event) -> None:
        """Let decoding go before training; see `TrainingThrottle`."""
        if self._local:
            self._local.throttle.wait(stop_event)

    def engine_stats(self) -> "EngineStats | None":
        """What the engine is doing; None until it is there."""
        return self._local.engine.stats() if self._local else None

    def _run(self, studio: "Studio", then: Callable[[], None]) -> None:
        try:
            self._load(studio)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.failure = error
        finally:
            then()

    def _load(self, studio: "Studio") -> None:
        local = self._local = start_backend(self._settings)
        self.resident.set(local.loaded)
        self._backend.attach(local)
        if self._backend.closed:
            return
        for problem in studio.serve_promoted():
            logging.getLogger(__name__).warning("not served: %s", problem)
        studio.start()
        freeze_heap()
        self._backend.open()


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who sees every stream go by, whichever model answers: they count it, or refuse it."""

    metrics: "Metrics"
    usage: "UsageMeter"
    tracer: "Tracer | None"
    budgets: "Budgets | None"
    access: "Access"

    def count(self, request: "Request", server: str, events: "Events") -> "Events":
        """Count a stream, and trace it."""
        from playground.lab.traces import Traces

        counted = self.metrics.watch(request, server, self.usage.watch(request, server, events))
        return Traces(self.tracer).watch(request, server, counted) if self.tracer else counted

    def charge(self, request: "Request", server: str, events: "Events") -> "Events":
        """Refuse what somebody's budget has no room for; count the rest."""
        paid = self.budgets.watch(request, server, events) if self.budgets else events
        return self.count(request, server, paid)

    def admit(self, request: "Request", server: str, events: "Events") -> "Events":
        """The same for what comes from outside, by the rules of the link that a guest came by."""
        charged = self.charge(request, server, events)
        links = self.access.links
        return links.watch(request, server, charged) if links else charged


@contextmanager
def open_services(
    settings: Settings, backend: "DeferredBackend", loader: ModelLoader, fair_use: "FairUse"
) -> Iterator["Services"]:
    """Open all parts over a backend whose model is still to come; close them and it at the end."""
    from playground.access import DemoRules
    from playground.backends.router import ModelRouter
    from playground.lab.live import LiveFigures
    from playground.lab.metrics import Metrics
    from playground.services import Services
    from playground.studio.studio import Studio

    resident = loader.resident
    metrics = Metrics(
        resident.name, loader.engine_stats, lambda: studio.jobs.list(), fair_use.waiting
    )
    with (
        open_tracer(settings) as tracer,
        open_people(settings) as access,
        open_tools(settings) as toolbox,
        open_feedback(settings) as feedback,
        open_responses(settings) as responses,
        open_prompts(settings) as prompts,
        open_conversations(settings) as conversations,
        open_usage(settings, resident.name) as usage,
        open_remotes(settings) as remotes,
        closing(backend),
    ):
        budgets = budgets_of(settings, access, usage)
        watchers = Watchers(metrics, usage, tracer, budgets, access)
        charged = ModelRouter(backend, remotes, watchers.charge)
        own = ModelRouter(backend, (), watchers.count)
        judged_rows, isolated = settings.training.judged_rows, settings.training.isolated
        with (
            open_sweeps(settings, charged, prompts, conversations) as sweeps,
            closing(
                Studio(
                    settings.home, resident, own, loader.throttle,
                    isolated=isolated, judged_rows=judged_rows,
                    task_folders=settings.sweeps.task_folders, tracer=tracer,
                )
            ) as studio,
            open_batches(settings) as batches,
            open_completions(settings) as completions,
            closing(LiveFigures(metrics)) as live,
        ):  # fmt: skip
            live.start()
            rules = DemoRules(settings.access)
            admitted = ModelRouter(
                backend, remotes, watchers.admit, rules,
                lambda model: studio.serve_unpromoted(model, f"link {model}"),
            )  # fmt: skip
            yield Services.create(
                admitted, settings, replace(access, fair_use=fair_use),
                toolbox=toolbox, studio=studio, feedback=feedback, responses=responses,
                prompts=prompts, sweeps=sweeps, batches=batches, completions=completions,
                conversations=conversations, usage=usage, metrics=metrics, tracer=tracer, live=live,
            )  # fmt: skip
