"""Who looks at the page: their name with the way out, and the tabs that are open to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr

from playground.access import Area
from playground.access.paths import AREAS_OF_TABS
from playground.ui.components.binding import bind
from playground.ui.components.events import UNQUEUED
from playground.ui.components.markup import render
from playground.ui.components.visiting import visitor


@dataclass(frozen=True, slots=True)
class VisitorParts:
    """The name in the header, and the tabs by the rooms of their handlers."""

    name: gr.HTML
    tabs: dict[str, gr.Tab]


@dataclass(frozen=True, slots=True)
class VisitorUpdate:
    """What a visitor sees."""

    name: str
    tabs: dict[str, gr.Tab]


@dataclass(frozen=True, slots=True)
class VisitorHandlers:
    """Shows to each what is theirs."""

    rooms: tuple[str, ...]

    def show(self) -> VisitorUpdate:
        """Show the name, and hide the tabs that are not open to whoever loads the page."""
        who = visitor()
        areas = dict(AREAS_OF_TABS)
        tabs = {
            room: gr.Tab(visible=who.may_use(areas.get(room, Area.ADMIN))) for room in self.rooms
        }
        text = render("visitor.html", name=who.name, role=who.role, signed_in=who.signed_in)
        return VisitorUpdate(text, tabs)


def show_visitor(page: gr.Blocks, name: gr.HTML, tabs: Mapping[str, gr.Tab]) -> None:
    """Show each visitor their own page when it is loaded."""
    parts = VisitorParts(name, dict(tabs))
    handlers = VisitorHandlers(tuple(tabs))
    page.load(**bind(handlers.show, parts), inputs=None, **UNQUEUED)
