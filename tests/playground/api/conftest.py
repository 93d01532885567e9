"""Servers over whichever backend a test needs, and the real clients."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import openai
import pytest
import together
from starlette.types import ASGIApp

from playground.api import create_api
from playground.backends.local import LocalBackend
from playground.backends.scripted import Script, ScriptedBackend
from playground.protocol import Backend
from playground.services import Services
from playground.settings import Flags, Settings, load_settings
from tests.playground.api.serving import running


@pytest.fixture(scope="session")
def server_url(backend: LocalBackend) -> Iterator[str]:
    """The API over the embedded model."""
    with running(create_api(Services.create(backend, Settings()))) as url:
        yield url


@pytest.fixture(scope="session")
def model(backend: LocalBackend) -> str:
    """The name of the model behind ``server_url``."""
    return backend.default_model.name


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """``serve(backend, {"access.api_key": …})`` or ``serve(app=...)`` gives a URL for one test."""
    with ExitStack() as stack:

        def start(
            backend: Backend | None = None,
            settings: Flags | None = None,
            *,
            app: ASGIApp | None = None,
        ) -> str:
            if app is None:
                assert backend is not None
                app = create_api(Services.create(backend, load_settings(settings)))
            return stack.enter_context(running(app))

        yield start


@pytest.fixture
def scripted_url(serve: Callable[..., str]) -> Callable[[Script], str]:
    """``scripted_url(script)`` serves a backend that answers by that script."""
    return lambda script: serve(ScriptedBackend(script))


@pytest.fixture(scope="session")
def fine_url() -> Iterator[str]:
    """A server whose every answer is the word fine."""
    services = Services.create(ScriptedBackend(lambda request: ["fine"]), Settings())
    with running(create_api(services)) as url:
        yield url


@pytest.fixture
def client(server_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(params=["", "/v1"], ids=["host", "host/v1"])
def together_client(server_url: str, request: pytest.FixtureRequest) -> Iterator[together.Together]:
    base_url = f"{server_url}{request.param}"
    with together.Together(base_url=base_url, api_key="any", max_retries=0) as client:
        yield client
