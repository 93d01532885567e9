"""What the handlers' tests share: feedback, a studio whose jobs wait, a page over a script."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import gradio as gr
import pytest
import pytest_asyncio

from playground.backends.local import LocalBackend
from playground.backends.scripted import ScriptedBackend
from playground.lab.prompts import Prompts
from playground.protocol import ModelInfo
from playground.services import Services
from playground.settings import Settings
from playground.store import Feedback
from playground.store.conversations import Conversations
from playground.studio.studio import Studio
from playground.tools import Toolbox, built_in_tools
from playground.ui import build_page
from playground.ui.components.answering import Answering


@pytest.fixture
def feedback(tmp_path: Path) -> Iterator[Feedback]:
    store = Feedback(tmp_path / "feedback")
    yield store
    store.close()


@pytest.fixture
def conversations(tmp_path: Path) -> Iterator[Conversations]:
    store = Conversations(tmp_path / "conversations")
    yield store
    store.close()


@pytest.fixture
def answering(backend: LocalBackend) -> Answering:
    """Answers of the embedded model."""
    return Answering(backend, [backend.default_model])


@pytest.fixture
def studio(tmp_path: Path, backend: LocalBackend) -> Studio:
    """A studio that is not entered: its jobs are queued and none of them runs."""
    return Studio(tmp_path / "home", backend.loaded, backend)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(
    tmp_path_factory: pytest.TempPathFactory, backend: LocalBackend
) -> AsyncIterator[gr.Blocks]:
    """The whole page over a backend that answers from a script."""
    home = tmp_path_factory.mktemp("page")
    model = ModelInfo("scripted", context_length=4096)
    scripted = ScriptedBackend(lambda request: ["Hello", ", you."], models=(model,))
    feedback = Feedback(home / "feedback")
    conversations = Conversations(home)
    services = Services.create(
        scripted,
        Settings(home=home),
        toolbox=Toolbox(built_in_tools()),
        studio=Studio(home, backend.loaded, backend),
        feedback=feedback,
        prompts=(prompts := Prompts(home / "prompts")),
        conversations=conversations,
    )
    yield build_page(services, [model])
    feedback.close()
    prompts.close()
    conversations.close()
