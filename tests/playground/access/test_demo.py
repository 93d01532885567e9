"""What a guest of a demo may ask, and which tabs there are for them."""

import pytest

from playground.access import Access, Credentials, DemoRules, Identity, acting_as
from playground.access.roles import Area, areas_of_role
from playground.backends.router import ModelRouter
from playground.backends.scripted import ScriptedBackend
from playground.errors import Forbidden, PlaygroundError, Unauthorized, UnknownModel
from playground.protocol import Message, ModelInfo, Request
from playground.settings import AccessSettings
from playground.ui.history.recording import Recorder

GUEST = Identity("a guest", "address:x", areas_of_role("guest"), "guest_1", "guest", "visit")
MODELS = [
    ModelInfo("base", 100), ModelInfo("base:law", 100, adapter="law"),
    ModelInfo("base:secret", 100, adapter="secret"),
]  # fmt: skip
RULES = DemoRules(AccessSettings(demo=True, demo_models=("law",), demo_system_prompt="Be kind."))


def asked(text: str = "Hi", **fields: str) -> Request:
    messages = (Message("system", "Be rude."), Message("user", text))
    return Request(**{"model": "base:law", "messages": messages} | fields)  # type: ignore[arg-type]


def test_a_guest_sees_the_demos_models() -> None:
    with acting_as(GUEST):
        assert [info.name for info in RULES.visible(MODELS)] == ["base:law"]
    assert RULES.visible(MODELS) == MODELS


@pytest.mark.parametrize("model", ["base", "base:secret", "nothing", ""])
def test_a_guest_asks_no_other_model(model: str) -> None:
    with acting_as(GUEST), pytest.raises(UnknownModel) as refused:
        RULES.asked(asked(model=model), MODELS)
    assert "secret" not in refused.value.message.removeprefix(f"model {model!r}")


def test_a_guest_has_the_demos_system_prompt() -> None:
    with acting_as(GUEST):
        request = RULES.asked(asked(), MODELS)
    assert request.messages == (Message("system", "Be kind."), Message("user", "Hi"))
    own = asked()
    assert RULES.asked(own, MODELS) is own


def test_a_prompt_without_messages_is_no_way_around() -> None:
    with acting_as(GUEST), pytest.raises(Forbidden):
        RULES.asked(Request(model="base:law", prompt="[INST]"), MODELS)


async def test_the_router_keeps_the_rules() -> None:
    seen: list[Request] = []

    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["fine"]

    backend = ScriptedBackend(script)
    name = (await backend.models())[0].name
    rules = DemoRules(AccessSettings(demo=True, demo_models=(name,), demo_system_prompt="Be kind."))
    router = ModelRouter(backend, (), rules=rules)  # type: ignore[arg-type]
    with acting_as(GUEST):
        async for _ in router.stream(asked(model=name)):
            pass
        with pytest.raises(UnknownModel):
            await anext(router.stream(asked(model="other")))
    assert [message.content for message in seen[0].messages] == ["Be kind.", "Hi"]


@pytest.mark.parametrize(
    ("area", "tab", "error"),
    [
        (Area.CHAT, "chat", None),
        (Area.CHAT, "history", None),
        (Area.CHAT, "compare", Unauthorized),
        (Area.FILES, "functions", Unauthorized),
    ],
)
def test_a_demo_chooses_its_tabs(area: Area, tab: str, error: type[PlaygroundError] | None) -> None:
    access = Access(asks=True, demo=True, tabs=frozenset({"chat"}))
    guest = access.identify(Credentials(address="x"))
    if error is None:
        guest.require(area, tab)
        return
    with pytest.raises(error):
        guest.require(area, tab)


def test_a_guests_conversations_are_not_kept() -> None:
    recorder = Recorder(object())  # type: ignore[arg-type]
    assert recorder.store is not None
    with acting_as(GUEST):
        assert recorder.store is None
