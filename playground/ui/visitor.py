"""Who looks at the page: their name with the way out, and the tabs that are open to them.

What is hidden here is refused by the handlers anyway (`playground.ui.components.visiting`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from playground.access import Area
from playground.access.demo import system_prompt_of
from playground.access.paths import AREAS_OF_TABS
from playground.settings import AccessSettings
from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import UNQUEUED
from playground.ui.components.markup import render
from playground.ui.components.visiting import visitor


@dataclass(frozen=True, slots=True)
class VisitorParts:
    """The place in the header, the tabs, and the line above them."""

    name: gr.HTML
    tabs: gr.Tabs
    banner: gr.HTML


@dataclass(frozen=True, slots=True)
class VisitorUpdate:
    """What a visitor sees there."""

    name: str
    tabs: gr.Tabs | Unchanged = UNCHANGED
    banner: gr.HTML | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class VisitorHandlers:
    """Shows to each what is theirs; ``rooms`` are the tabs by the rooms of their handlers."""

    rooms: tuple[str, ...]
    access: AccessSettings

    def show(self) -> VisitorUpdate:
        """Show the name, and hide the tabs that are not open to whoever loads the page."""
        who = visitor()
        areas = dict(AREAS_OF_TABS)
        seen = [room for room in self.rooms if who.sees(areas.get(room, Area.ADMIN), room)]
        shown = {
            "closed": [room for room in self.rooms if room not in seen],
            "name": who.name, "role": who.role, "signed_in": who.signed_in,
            "keeps_history": who.keeps_history,
            "by_link": who.link is not None,
            "fixed": system_prompt_of(who, self.access) is not None,
        }  # fmt: skip
        is_first_seen = self.rooms[0] in seen or not seen
        return VisitorUpdate(
            render("visitor.html", **shown),
            UNCHANGED if is_first_seen else gr.Tabs(selected=seen[0]),
            self._banner() if who.is_guest else UNCHANGED,
        )

    def _banner(self) -> gr.HTML | Unchanged:
        text = self.access.demo_banner
        return gr.HTML(render("banner.html", text=text), visible=True) if text else UNCHANGED


def tab_id(room: str) -> str:
    """Return the ``elem_id`` of a tab, by which it is hidden."""
    return f"room-{room}"


def show_visitor(
    page: gr.Blocks, parts: VisitorParts, rooms: Sequence[str], access: AccessSettings
) -> None:
    """Show each visitor their own page when it is loaded."""
    handlers = VisitorHandlers(tuple(rooms), access)
    page.load(**bind(handlers.show, parts), inputs=None, **UNQUEUED)
