"""What guests may ask: of the models that the demo shows, under its system prompt.

Others are asked nothing. Knows no page; `playground.access.identity` says which tabs are open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from playground.access.identity import current_identity
from playground.errors import Forbidden, UnknownModel
from playground.protocol import Message, ModelInfo, Request, find_model
from playground.settings import AccessSettings

INSTRUCTIONS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class DemoRules:
    """The rules of one server, for whoever asks at that moment."""

    settings: AccessSettings

    def visible(self, models: Sequence[ModelInfo]) -> list[ModelInfo]:
        """Return the models that are there for whoever asks, for a guest as the demo orders them.

        Raises `UnknownModel` if the demo names none that is served.
        """
        wanted = self.settings.demo_models
        if not wanted or not current_identity().is_guest:
            return list(models)
        named = (find_model(models, name) for name in wanted)
        shown = [info for info in named if info is not None]
        if not shown:
            raise UnknownModel(wanted[0], [])
        return shown

    def asked(self, request: Request, models: Sequence[ModelInfo]) -> Request:
        """Return what is asked of the model: for a guest, under the demo's system prompt.

        ``models`` are all that are served. Raises `UnknownModel` for one that is not shown to them,
        and `Forbidden` for a prompt without messages, which no system prompt stands before.
        """
        if not current_identity().is_guest:
            return request
        shown = self.visible(models)
        if find_model(shown, request.model) is None:
            raise UnknownModel(request.model, [info.name for info in shown])
        system = self.settings.demo_system_prompt
        if system is None:
            return request
        if request.prompt is not None:
            raise Forbidden("guests ask with messages, under the system prompt of this demo")
        own = (message for message in request.messages if message.role not in INSTRUCTIONS)
        return replace(request, messages=(Message("system", system), *own))
