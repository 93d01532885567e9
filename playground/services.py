"""`Services`: the parts that every face works with, built once at start-up. Knows no face."""

from dataclasses import dataclass, field

from playground.access import Access
from playground.protocol import Backend
from playground.settings import Settings
from playground.store import Feedback
from playground.store.conversations import Conversations
from playground.store.responses import Responses
from playground.store.uploads import Uploads
from playground.studio.studio import Studio
from playground.tools import Toolbox


@dataclass(frozen=True, slots=True)
class Services:
    """What API and page are made from: ``create_api(services)``, ``build_page(services)``.

    The API does without studio, feedback, responses and conversations; it has no files and no
    fine-tuning jobs then, and stores no response and no conversation.
    """

    backend: Backend
    settings: Settings
    access: Access
    uploads: Uploads
    toolbox: Toolbox = field(default_factory=Toolbox)
    studio: Studio | None = None
    feedback: Feedback | None = None
    responses: Responses | None = None
    conversations: Conversations | None = None

    @classmethod
    def create(
        cls,
        backend: Backend,
        settings: Settings,
        *,
        toolbox: Toolbox | None = None,
        studio: Studio | None = None,
        feedback: Feedback | None = None,
        responses: Responses | None = None,
        conversations: Conversations | None = None,
    ) -> "Services":
        """Return the services over these parts; the others are made as the settings say."""
        return cls(
            backend,
            settings,
            Access.from_settings(settings.access),
            Uploads(settings.home),
            toolbox or Toolbox(),
            studio,
            feedback,
            responses,
            conversations,
        )
