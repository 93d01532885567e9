"""The Admin tab's links to a demo: made, listed and revoked, as ``/v1/admin/links`` does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import gradio as gr

from playground.access import DemoLinks
from playground.access.links import TABS, token_of
from playground.errors import InvalidRequest
from playground.store.links import Link
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED, Unchanged, bind
from playground.ui.components.events import ACTION, UNQUEUED
from playground.ui.components.markup import render
from playground.ui.components.status import verdict


@dataclass(frozen=True, slots=True)
class LinkParts:
    """The components of the section."""

    link_tab: gr.Dropdown
    link_models: gr.Dropdown
    link_prompt: gr.Textbox
    link_days: gr.Number
    link_answers: gr.Number
    add_link: gr.Button
    address: gr.Textbox
    link_note: gr.HTML
    links: gr.HTML
    link: gr.Dropdown
    revoke_link: gr.Button


@dataclass(frozen=True, slots=True)
class LinksUpdate:
    """What the section shows after an action."""

    links: str
    link: gr.Dropdown
    link_models: gr.Dropdown | Unchanged = UNCHANGED
    link_note: str = ""
    address: gr.Textbox | Unchanged = UNCHANGED


@dataclass(frozen=True, slots=True)
class LinkHandlers:
    """The handlers of the section."""

    links: DemoLinks
    answering: Answering

    async def refresh(self) -> LinksUpdate:
        """Show the links as they are now, and the models that there are."""
        names = await self.answering.model_names()
        return replace(self._shown(), link_models=gr.Dropdown(names))

    def create(
        self,
        tab: str,
        models: list[str],
        prompt: str,
        days: float | None,
        answers: float | None,
        page: gr.Request,
    ) -> LinksUpdate:
        """Make a link and show its address."""
        link = self.links.create(
            models, tab, days=days or 0.0, system_prompt=prompt.strip() or None,
            answers=int(answers) if answers else None,
        )  # fmt: skip
        address = gr.Textbox(address_of(link, page), visible=True)
        return replace(self._shown("The link is created"), address=address)

    def revoke(self, link: str | None) -> LinksUpdate:
        """Make a link open nothing from now on."""
        if not link:
            raise InvalidRequest("link", "choose one first")
        return self._shown(f"The link {self.links.revoke(link).id} is revoked")

    def _shown(self, text: str = "") -> LinksUpdate:
        links = self.links.all()
        valid = [
            (f"{link.id} ({', '.join(link.models)})", link.id)
            for link in links
            if link.state == "open"
        ]
        return LinksUpdate(
            links=render("admin/links.html", links=links, date=_date, token=token_of),
            link=gr.Dropdown(valid, value=None),
            link_note=verdict(text, good=True) if text else "",
            address=gr.Textbox("", visible=False),
        )


def links_section(tabs: Sequence[gr.Tab], links: DemoLinks, answering: Answering) -> None:
    """Build the section in the current layout and wire its events; it is read anew when one of
    ``tabs`` is opened."""
    parts, handlers = _link_parts(), LinkHandlers(links, answering)
    for tab in tabs:
        tab.select(**bind(handlers.refresh, parts), inputs=None, **UNQUEUED)
    parts.add_link.click(
        **bind(handlers.create, parts),
        inputs=[
            parts.link_tab, parts.link_models, parts.link_prompt, parts.link_days,
            parts.link_answers,
        ],
        **ACTION,
    )  # fmt: skip
    parts.revoke_link.click(**bind(handlers.revoke, parts), inputs=parts.link, **ACTION)


def address_of(link: Link, page: gr.Request) -> str:
    """Return a link's address, where this page is reached."""
    told = page.request.headers.get("x-gradio-server") or str(page.request.base_url)
    return f"{told.rstrip('/')}/d/{token_of(link)}/"


def _link_parts() -> LinkParts:
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            gr.HTML("<h3>New link to a demo</h3>", container=False)
            tab = gr.Dropdown(
                [(name.capitalize(), name) for name in TABS], value="chat", label="Tab",
                elem_id="ac-tab",
            )  # fmt: skip
            models = gr.Dropdown(
                [], label="Models", info="One, or several to compare", multiselect=True,
                elem_id="ac-models",
            )  # fmt: skip
            prompt = gr.Textbox(
                label="System prompt", info="Optional", lines=2, elem_id="ac-system-prompt"
            )
            days = gr.Number(7, label="Days", elem_id="ac-link-days", minimum=0)
            answers = gr.Number(
                100, label="Answers", info="All visitors together; 0 for no limit", precision=0,
                elem_id="ac-answers", minimum=0,
            )  # fmt: skip
            add = gr.Button("Create link", variant="primary", elem_id="ac-link-add")
        with gr.Column(elem_classes="work scrolling"):
            note = gr.HTML(container=False, elem_id="ac-link-note")
            address = gr.Textbox(
                label="The new link", visible=False, interactive=False, buttons=["copy"],
                elem_id="ac-address", max_lines=3,
            )  # fmt: skip
            gr.HTML("<h3>Links to a demo</h3>", container=False)
            shown = gr.HTML(container=False, elem_id="ac-links")
            with gr.Row(elem_classes="actions"):
                link = gr.Dropdown([], label="Link", elem_id="ac-link")
                revoke = gr.Button(
                    "Revoke link", elem_id="ac-link-revoke", elem_classes="asks-first"
                )
    return LinkParts(tab, models, prompt, days, answers, add, address, note, shown, link, revoke)


def _date(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else "–"
