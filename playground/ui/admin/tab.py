"""The Admin tab: accounts, API keys and who did what; links to a demo."""

import gradio as gr

from playground.access import DemoLinks, People
from playground.ui.admin.events import AdminHandlers
from playground.ui.admin.layout import admin_parts
from playground.ui.admin.links import links_section
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, UNQUEUED


def admin_tab(tab: gr.Tab, people: People, links: DemoLinks | None, answering: Answering) -> None:
    """Build the tab in the current layout and wire its events."""
    with gr.Tabs(elem_classes="rooms", elem_id="ac-rooms"):
        with gr.Tab("Accounts and keys", id="people"):
            parts = admin_parts()
        if links:
            with gr.Tab("Links", id="links") as opened:
                links_section((opened, tab), links, answering)
    handlers = AdminHandlers(people)
    tab.select(**bind(handlers.refresh, parts), inputs=None, **UNQUEUED)
    parts.add_account.click(
        **bind(handlers.add_account, parts),
        inputs=[parts.name, parts.role, parts.password],
        **ACTION,
    )
    parts.add_key.click(
        **bind(handlers.add_key, parts),
        inputs=[parts.key_name, parts.scopes, parts.key_account, parts.days],
        **ACTION,
    )
    parts.change_role.click(
        **bind(handlers.change_role, parts), inputs=[parts.account, parts.new_role], **ACTION
    )
    for button, handler in (
        (parts.disable, handlers.disable),
        (parts.enable, handlers.enable),
        (parts.remove, handlers.remove),
    ):
        button.click(**bind(handler, parts), inputs=parts.account, **ACTION)
    parts.revoke.click(**bind(handlers.revoke, parts), inputs=parts.key, **ACTION)
