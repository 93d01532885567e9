"""What the chosen model cannot do is said and greyed out."""

import gradio as gr

from playground.backends.scripted import ScriptedBackend
from playground.protocol import Capabilities, ModelInfo
from playground.ui.components.ability import AbilityHandlers
from playground.ui.components.answering import Answering
from playground.ui.json.events import JsonHandlers

ABLE = ModelInfo("able", context_length=64)
UNABLE = ModelInfo(
    "far/unable",
    context_length=64,
    capabilities=Capabilities(
        tools=False, schema=True, enforces=False, why_not={"tools": "no <parser> is set"}
    ),
)
MODELS = (ABLE, UNABLE)


def answering() -> Answering:
    return Answering(ScriptedBackend(lambda request: [], models=MODELS), MODELS)


async def test_missing_ability_is_said_and_greyed() -> None:
    tab = AbilityHandlers(answering(), "tools", (gr.Button, gr.Textbox))
    update = await tab.check("far/unable")
    assert "far/unable does not call functions" in str(update.line.value)
    assert "no &lt;parser&gt; is set" in str(update.line.value)
    assert [action.interactive for action in update.actions] == [False, False]


async def test_ability_leaves_no_line() -> None:
    for name, capability in (("able", "tools"), ("far/unable", "schema")):
        tab = AbilityHandlers(answering(), capability, (gr.Button,))  # type: ignore[arg-type]
        update = await tab.check(name)
        assert not update.line.visible
        assert [action.interactive for action in update.actions] == [True]


async def test_only_own_decoding_is_called_strict() -> None:
    tab = JsonHandlers(answering(), (), needs_key=False)
    said = [str((await tab.check('{"type": "object"}', info.name)).verdict) for info in MODELS]
    assert "strictly" in said[0]
    assert "checked here" in said[1]
