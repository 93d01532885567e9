"""The gallery of functions: the built-in ones, and a few that only have a description."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from playground.protocol import Tool
from playground.tools import built_in_tools
from playground.ui.theme import ASSETS


@lru_cache(maxsize=1)
def _gallery() -> Mapping[str, dict[str, Any]]:
    written = json.loads((ASSETS / "gallery.json").read_text(encoding="utf-8"))
    tools = [each.tool.to_openai() for each in built_in_tools()] + written
    return {each["function"]["name"]: each for each in tools}


def gallery_names() -> list[str]:
    """Names of what there is to pick."""
    return list(_gallery())


def tools_json(names: Sequence[str]) -> str:
    """These functions of the gallery as the editor shows them."""
    return json.dumps([_gallery()[name] for name in names], indent=2, ensure_ascii=False)


def with_tools(text: str, added: Sequence[Tool]) -> str:
    """The editor's text with more functions; one of the same name is replaced."""
    present = json.loads(text) if text.strip() else []
    names = {tool.name for tool in added}
    kept = [each for each in present if each.get("function", each).get("name") not in names]
    every = kept + [tool.to_openai() for tool in added]
    return json.dumps(every, indent=2, ensure_ascii=False)


def gallery_tool(name: str) -> Tool:
    """One function of the gallery."""
    function = _gallery()[name]["function"]
    return Tool(function["name"], function["description"], function["parameters"])
