"""The Admin tab: accounts, API keys and who did what."""

import gradio as gr

from playground.access import People
from playground.ui.admin.events import AdminHandlers
from playground.ui.admin.layout import admin_parts
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, UNQUEUED


def admin_tab(tab: gr.Tab, people: People) -> None:
    """Build the tab in the current layout and wire its events."""
    parts, handlers = admin_parts(), AdminHandlers(people)
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
