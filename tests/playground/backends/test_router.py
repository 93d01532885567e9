"""The router without another server: what the resident model can do, it can do through it."""

from playground.backends.local import LocalBackend
from playground.backends.router import ModelRouter
from playground.lab.tokens import rendered_prompt
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import AdapterHost, Message, Request, TokenizerHost


async def test_router_shows_resident_tokenizer() -> None:
    with LocalBackend(load(ModelSpec("embedded"))) as resident:
        router = ModelRouter(resident, ())
        request = Request(model="embedded", messages=(Message("user", "Hello"),))
        assert await rendered_prompt(router, request) == await rendered_prompt(resident, request)
        assert await router.tokenize_answer(request, "Hi") == await resident.tokenize_answer(
            request, "Hi"
        )


def test_router_is_a_host_of_adapters_and_tokenizer() -> None:
    with LocalBackend(load(ModelSpec("embedded"))) as resident:
        router = ModelRouter(resident, ())
        assert isinstance(router, TokenizerHost)
        for member in (*vars(AdapterHost), *vars(TokenizerHost)):
            assert member.startswith("_") or hasattr(router, member)
