"""What the handlers' tests share: feedback, a studio whose jobs wait, a page over a script."""

import json
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
import pytest_asyncio

from playground.backends.scripted import ScriptedBackend
from playground.engine import Engine
from playground.settings import Settings
from playground.store import Feedback
from playground.studio.studio import Studio
from playground.tools import Toolbox, built_in_tools
from playground.ui import build_page


@pytest.fixture
def feedback(tmp_path: Path) -> Iterator[Feedback]:
    store = Feedback(tmp_path / "feedback")
    yield store
    store.close()


@pytest.fixture
def studio(tmp_path: Path, engine: Engine) -> Studio:
    """A studio that is not entered: its jobs are queued and none of them runs."""
    return Studio(tmp_path / "home", engine.loaded, engine)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Four rows to train on."""
    path = tmp_path / "prices.jsonl"
    lines = [
        {"prompt": f"What is the price of the {name}?", "completion": f"The {name} costs {price}."}
        for name, price in (("Zolpar", 41), ("Kentig", 7), ("Miffel", 90), ("Dorp", 3))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest_asyncio.fixture
async def page(studio: Studio, feedback: Feedback) -> gr.Blocks:
    """The whole page over a backend that answers from a script."""
    backend = ScriptedBackend(lambda request: ["Hello", ", you."])
    return build_page(backend, Settings(), Toolbox(built_in_tools()), studio, feedback)
