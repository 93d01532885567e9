"""The Admin tab: accounts, API keys and who did what; links to a demo; what the server does at the
moment.
"""

import gradio as gr

from playground.access import People
from playground.services import Services
from playground.ui.admin.events import AdminHandlers
from playground.ui.admin.layout import admin_parts
from playground.ui.admin.links import links_section
from playground.ui.admin.live import live_parts, show_live
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, UNQUEUED


def admin_tab(tab: gr.Tab, services: Services, people: People, answering: Answering) -> None:
    """Build the tab in the current layout and wire its events."""
    links, live, oidc = services.access.links, services.live, services.access.oidc
    with gr.Tabs(elem_classes="rooms", elem_id="ac-rooms"):
        with gr.Tab("Accounts and keys", id="people"):
            parts = admin_parts(oidc.name if oidc else "")
        if links:
            with gr.Tab("Links", id="links") as opened:
                links_section((opened, tab), links, answering)
        if live:
            with gr.Tab("Activity", id="activity") as activity, gr.Row(elem_classes="studio"):
                shown = live_parts(live)
    handlers = AdminHandlers(people, oidc, services.settings.limits)
    tab.select(**bind(handlers.refresh, parts), inputs=None, **UNQUEUED)
    if live:
        show_live(shown, (activity, tab), live)
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
    parts.account.change(**bind(handlers.show_budget, parts), inputs=parts.account, **UNQUEUED)
    parts.key.change(**bind(handlers.show_key_budget, parts), inputs=parts.key, **UNQUEUED)
    parts.set_budget.click(
        **bind(handlers.set_budget, parts),
        inputs=[parts.account, parts.day_budget, parts.month_budget],
        **ACTION,
    )
    parts.set_key_budget.click(
        **bind(handlers.set_key_budget, parts),
        inputs=[parts.key, parts.key_day_budget, parts.key_month_budget],
        **ACTION,
    )
