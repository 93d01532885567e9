"""`Services`: the parts that every face works with, built once at start-up. Knows no face."""

from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from playground.access import Access
from playground.lab.batches import Batches
from playground.lab.live import LiveFigures
from playground.lab.metrics import Metrics
from playground.lab.prompts import Prompts
from playground.lab.sweeps.sweeps import Sweeps
from playground.lab.usage import UsageMeter
from playground.protocol import Backend
from playground.settings import Settings
from playground.store import Feedback
from playground.store.completions import Completions
from playground.store.conversations import Conversations
from playground.store.responses import Responses
from playground.store.uploads import Uploads
from playground.studio.studio import Studio
from playground.tools import Toolbox
from playground.tracing import Tracer


class Parts(TypedDict, total=False):
    """The parts that may be missing; see `Services`."""

    toolbox: Toolbox
    studio: Studio | None
    feedback: Feedback | None
    responses: Responses | None
    prompts: Prompts | None
    sweeps: Sweeps | None
    batches: Batches | None
    completions: Completions | None
    conversations: Conversations | None
    usage: UsageMeter | None
    metrics: Metrics | None
    tracer: Tracer | None
    live: LiveFigures | None


@dataclass(frozen=True, slots=True)
class Services:
    """What API and page are made from: ``create_api(services)``, ``build_page(services)``.

    Only ``backend``, ``settings``, ``access`` and ``uploads`` are always there. What needs another
    part is not offered without it: no studio, no files and no fine-tuning jobs, for example. The
    page needs studio, feedback and prompts.
    """

    backend: Backend
    settings: Settings
    access: Access
    uploads: Uploads
    toolbox: Toolbox = field(default_factory=Toolbox)
    studio: Studio | None = None
    feedback: Feedback | None = None
    responses: Responses | None = None
    prompts: Prompts | None = None
    sweeps: Sweeps | None = None
    batches: Batches | None = None
    completions: Completions | None = None
    conversations: Conversations | None = None
    usage: UsageMeter | None = None
    metrics: Metrics | None = None
    tracer: Tracer | None = None
    live: LiveFigures | None = None

    @classmethod
    def create(
        cls,
        backend: Backend,
        settings: Settings,
        access: Access | None = None,
        **parts: Unpack[Parts],
    ) -> "Services":
        """Return the services over these parts, with uploads as the settings say, and access too
        if it is not given."""
        return cls(
            backend,
            settings,
            access or Access.from_settings(settings.access),
            Uploads(settings.home),
            **parts,
        )
