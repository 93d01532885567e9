"""The one place of the page that asks for answers, tokens and models."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from playground.errors import BackendBusy, BackendUnavailable, InvalidRequest, ModelLoading
from playground.lab import Lane, LaneEvent, ask_lanes, lane_of
from playground.lab.extraction import Extracted, extract_many
from playground.lab.prompts import PromptVersion
from playground.lab.tokens import Fork, fork
from playground.protocol import (
    Answer,
    Backend,
    Message,
    ModelInfo,
    Request,
    Sampling,
    StreamEvent,
    answer,
    find_model,
)
from playground.tools import Toolbox
from playground.tools.loop import Permissions, Step, run_tools


@dataclass(frozen=True, slots=True)
class Answering:
    """What the tabs ask of a backend. ``initial_models`` are those served when the page is built,
    the default first.
    """

    backend: Backend
    initial_models: Sequence[ModelInfo]

    async def model_names(self) -> list[str]:
        """Return the names of the models that are served now, the default first."""
        return [info.name for info in await self.backend.models()]

    async def model(self, name: str | None) -> ModelInfo:
        """Return the model of this name, or the default one if it is not served."""
        models = await self.backend.models()
        return find_model(models, name or "") or models[0]

    async def count_tokens(self, request: Request) -> int | None:
        """Return the tokens of a prompt; None where the model's chat template refuses
        it, before the model is loaded, and where another server does not say."""
        try:
            return await self.backend.count_tokens(request)
        except (InvalidRequest, ModelLoading, BackendUnavailable, BackendBusy):
            return None

    def cancel(self, request_id: str) -> None:
        """End the answer to this request where it is; nothing happens for an empty id."""
        if request_id:
            self.backend.cancel(request_id)

    def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Stream an answer."""
        return self.backend.stream(request)

    async def answer(self, request: Request) -> Answer:
        """Return a whole answer; one that breaks its schema is asked for again."""
        return await answer(self.backend, request)

    def fork(self, request: Request, text: str, chosen: Fork) -> AsyncGenerator[StreamEvent, None]:
        """Stream an answer again, with another token at one place."""
        return fork(self.backend, request, text, chosen)

    def run_tools(
        self, request: Request, toolbox: Toolbox, permissions: Permissions
    ) -> AsyncGenerator[Step, None]:
        """Answer with tools until the model is done or a call waits for a decision."""
        return run_tools(self.backend, request, toolbox, permissions)

    async def lane(
        self,
        model: str,
        system: str,
        sampling: Sampling,
        prompt: PromptVersion | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> Lane:
        """Return a lane of Compare for the weights that the name stands for now."""
        return await lane_of(self.backend, model, system, sampling, prompt, variables)

    def ask_lanes(
        self,
        lanes: Sequence[Lane],
        messages: Sequence[Message],
        earlier: Sequence[Sequence[Message]] = (),
    ) -> AsyncGenerator[LaneEvent, None]:
        """Stream the answers of all lanes at once; ``earlier`` is each lane's own conversation."""
        return ask_lanes(self.backend, lanes, messages, earlier=earlier)

    def extract_each(self, like: Request, texts: Sequence[str]) -> AsyncGenerator[Extracted, None]:
        """Extract from each text as ``like`` does from its own."""
        return extract_many(self.backend, like, texts)
