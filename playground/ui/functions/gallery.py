"""The gallery of functions: the built-in tools, and a few definitions without an implementation."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from playground.protocol import Tool
from playground.tools import built_in_tools
from playground.tools.importers.definitions import tools_of_text
from playground.ui.theme import ASSETS


@lru_cache(maxsize=1)
def _gallery() -> Mapping[str, Tool]:
    definitions = tools_of_text((ASSETS / "gallery.json").read_text(encoding="utf-8"))
    tools = [*(built_in.tool for built_in in built_in_tools()), *definitions]
    return {tool.name: tool for tool in tools}


def gallery_names() -> list[str]:
    """Return the names of the gallery's functions."""
    return list(_gallery())


def gallery_tool(name: str) -> Tool:
    """Return a function of the gallery."""
    return _gallery()[name]


def tools_json(names: Sequence[str]) -> str:
    """Return functions of the gallery as the editor shows them."""
    return _as_json(_gallery()[name].to_openai() for name in names)


def with_tools(text: str, added: Sequence[Tool]) -> str:
    """Return the editor's text with more functions; one of the same name is replaced."""
    present = json.loads(text) if text.strip() else []
    names = {tool.name for tool in added}
    kept = [entry for entry in present if entry.get("function", entry).get("name") not in names]
    return _as_json([*kept, *(tool.to_openai() for tool in added)])


def _as_json(entries: Iterable[object]) -> str:
    return json.dumps(list(entries), indent=2, ensure_ascii=False)
