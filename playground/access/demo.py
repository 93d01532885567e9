"""What guests may ask: of the models that the demo shows, under its system prompt.

Others are asked nothing. Knows no page; `playground.access.identity` says which tabs are open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from playground.access.identity import Identity, current_identity
from playground.errors import Forbidden, UnknownModel
from playground.protocol import Message, ModelInfo, Request, find_model
from playground.settings import AccessSettings

INSTRUCTIONS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class DemoRules:
    """The rules of one server, for whoever asks at that moment. Where they came by a link, its
    models and its system prompt stand in the place of the demo's."""

    settings: AccessSettings

    def visible(self, models: Sequence[ModelInfo]) -> list[ModelInfo]:
        """Return the models that are there for whoever asks, for a guest as the demo orders them.

        Raises `UnknownModel` if the demo names none that is served.
        """
        wanted = self._wanted()
        if not wanted:
            return list(models)
        named = (find_model(models, name) for name in wanted)
        shown = [info for info in named if info is not None]
        if not shown:
            raise UnknownModel(wanted[0], [])
        return shown

    def missing(self, models: Sequence[ModelInfo]) -> list[str]:
        """Return what the link names and is not served: a version that nobody has promoted."""
        link = current_identity().link
        return [name for name in link.models if find_model(models, name) is None] if link else []

    def asked(self, request: Request, models: Sequence[ModelInfo]) -> Request:
        """Return what is asked of the model: for a guest, under the demo's system prompt.

        ``models`` are all that are served. Raises `UnknownModel` for one that is not shown to them,
        and `Forbidden` for a prompt without messages, which no system prompt stands before.
        """
        identity = current_identity()
        if not identity.is_guest:
            return request
        shown = self.visible(models)
        if find_model(shown, request.model) is None:
            raise UnknownModel(request.model, [info.name for info in shown])
        system = system_prompt_of(identity, self.settings)
        if system is None:
            return request
        if request.prompt is not None:
            raise Forbidden("guests ask with messages, under the system prompt of this demo")
        own = (message for message in request.messages if message.role not in INSTRUCTIONS)
        return replace(request, messages=(Message("system", system), *own))

    def _wanted(self) -> tuple[str, ...]:
        """The models that are shown to whoever asks, empty for all."""
        identity = current_identity()
        if identity.link:
            return identity.link.models
        return self.settings.demo_models if identity.is_guest else ()


def system_prompt_of(identity: Identity, settings: AccessSettings) -> str | None:
    """Return the system prompt that a guest's requests are asked under; None for their own."""
    if not identity.is_guest:
        return None
    if identity.link and identity.link.system_prompt is not None:
        return identity.link.system_prompt
    return settings.demo_system_prompt
