"""Stored prompts in a sweep: by version or label, with the defaults of their variables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.errors import UnknownPrompt
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts
from playground.lab.sweeps.prompting import messages_for
from playground.lab.sweeps.reading import Sources, read_sweep
from playground.lab.sweeps.stored_prompts import StoredPrompts
from playground.protocol.json_types import JsonObject

BODY: JsonObject = {
    "prompts": ["greeting@1", {"prompt": "greeting@live"}],
    "models": ["m"],
    "rows": [{"who": "Ada"}, {"who": "Bo", "how": "Good day"}],
    "graders": [{"type": "contains", "value": "{{ who }}"}],
}


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredPrompts]:
    prompts = Prompts(tmp_path)
    first = {"messages": [{"role": "user", "content": "Hi {{ who }}"}]}
    second = {
        "messages": [{"role": "user", "content": "{{ how }} {{ who }}"}],
        "variables": [{"name": "how", "default": "Hello"}],
        "schema": {"type": "object"},
    }
    prompts.create("greeting", PromptContent.from_json(first))
    prompts.save("greeting", PromptContent.from_json(second))
    prompts.label("greeting", "live", 2)
    yield StoredPrompts(prompts)
    prompts.close()


def test_stored_versions_are_prompts(stored: StoredPrompts) -> None:
    sweep = read_sweep(BODY, Sources(stored))
    assert [prompt.name for prompt in sweep.prompts] == ["greeting@1", "greeting@2"]
    texts = [messages_for(prompt, row)[0].content for prompt in sweep.prompts for row in sweep.rows]
    assert texts == ["Hi Ada", "Hi Bo", "Hello Ada", "Good day Bo"]
    assert sweep.prompts[1].schema == {"type": "object"}
    assert read_sweep(sweep.as_json(), Sources()) == sweep


def test_stored_versions_are_listed(stored: StoredPrompts) -> None:
    assert stored.sweep_references() == ["greeting@2", "greeting@1"]


def test_unknown_version_is_named(stored: StoredPrompts) -> None:
    with pytest.raises(UnknownPrompt):
        read_sweep(BODY | {"prompts": ["greeting@9"]}, Sources(stored))
