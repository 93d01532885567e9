"""Who looks at the page: their name with the way out, and the tabs that are open to them.

What is hidden here is refused by the handlers anyway (`playground.ui.components.visiting`).
"""

from collections.abc import Sequence
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
    """The place in the header."""

    name: gr.HTML


@dataclass(frozen=True, slots=True)
class VisitorUpdate:
    """What a visitor sees there."""

    name: str


@dataclass(frozen=True, slots=True)
class VisitorHandlers:
    """Shows to each what is theirs; ``rooms`` are the tabs by the rooms of their handlers."""

    rooms: tuple[str, ...]

    def show(self) -> VisitorUpdate:
        """Show the name, and hide the tabs that are not open to whoever loads the page."""
        who = visitor()
        areas = dict(AREAS_OF_TABS)
        closed = [room for room in self.rooms if not who.may_use(areas.get(room, Area.ADMIN))]
        shown = {"name": who.name, "role": who.role, "signed_in": who.signed_in}
        return VisitorUpdate(render("visitor.html", closed=closed, **shown))


def tab_id(room: str) -> str:
    """Return the ``elem_id`` of a tab, by which it is hidden."""
    return f"room-{room}"


def show_visitor(page: gr.Blocks, name: gr.HTML, rooms: Sequence[str]) -> None:
    """Show each visitor their own page when it is loaded."""
    handlers = VisitorHandlers(tuple(rooms))
    page.load(**bind(handlers.show, VisitorParts(name)), inputs=None, **UNQUEUED)
