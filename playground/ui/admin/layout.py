"""The components of the Admin tab, without their events."""

from dataclasses import dataclass

import gradio as gr

from playground.access import ROLES, SCOPES


@dataclass(frozen=True, slots=True)
class AdminParts:
    """The components that events read and write."""

    name: gr.Textbox
    role: gr.Dropdown
    password: gr.Textbox
    add_account: gr.Button
    key_name: gr.Textbox
    scopes: gr.CheckboxGroup
    key_account: gr.Dropdown
    days: gr.Number
    add_key: gr.Button
    secret: gr.Textbox
    note: gr.HTML
    accounts: gr.HTML
    account: gr.Dropdown
    new_role: gr.Dropdown
    change_role: gr.Button
    disable: gr.Button
    enable: gr.Button
    remove: gr.Button
    day_budget: gr.Textbox
    month_budget: gr.Textbox
    set_budget: gr.Button
    keys: gr.HTML
    key: gr.Dropdown
    revoke: gr.Button
    key_day_budget: gr.Textbox
    key_month_budget: gr.Textbox
    set_key_budget: gr.Button
    audit: gr.HTML


def admin_parts(provider: str = "") -> AdminParts:
    """Build the components in the current layout; people may sign in with ``provider``."""
    without = f"; empty for whom {provider} calls by this name" if provider else ""
    with gr.Row(elem_classes="studio"):
        with gr.Column(elem_classes="setup"):
            gr.HTML("<h3>New account</h3>", container=False)
            name = gr.Textbox(label="Name", max_lines=1, elem_id="ac-name")
            role = gr.Dropdown(list(ROLES), value="user", label="Role", elem_id="ac-role")
            password = gr.Textbox(
                label="Password", type="password", max_lines=1, elem_id="ac-password",
                info=f"At least 10 characters{without}",
            )  # fmt: skip
            add_account = gr.Button("Add account", variant="primary", elem_id="ac-add")
            gr.HTML("<h3>New API key</h3>", container=False)
            key_name = gr.Textbox(label="Name", max_lines=1, elem_id="ac-key-name")
            scopes = gr.CheckboxGroup(
                [area.value for area in SCOPES], value=["chat"], label="Scopes", elem_id="ac-scopes"
            )
            key_account = gr.Dropdown(
                [], label="Account", info="Optional", elem_id="ac-key-account"
            )
            days = gr.Number(
                0, label="Expires after", info="Days; 0 for never", precision=0,
                elem_id="ac-days",
            )  # fmt: skip
            add_key = gr.Button("Create key", variant="primary", elem_id="ac-key-add")
        with gr.Column(elem_classes="work scrolling"):
            note = gr.HTML(container=False, elem_id="ac-note")
            secret = gr.Textbox(
                label="The new key: copy it now, it is not shown again", visible=False,
                interactive=False, buttons=["copy"], elem_id="ac-secret", max_lines=4,
            )  # fmt: skip
            gr.HTML("<h3>Accounts</h3>", container=False)
            accounts = gr.HTML(container=False, elem_id="ac-accounts")
            with gr.Row(elem_classes="actions"):
                account = gr.Dropdown([], label="Account", elem_id="ac-account")
                new_role = gr.Dropdown(list(ROLES), value="user", label="New role")
                change_role = gr.Button("Change role", elem_id="ac-change")
                disable = gr.Button("Disable", elem_id="ac-disable", elem_classes="asks-first")
                enable = gr.Button("Enable")
                remove = gr.Button("Remove", elem_id="ac-remove", elem_classes="asks-first")
            with gr.Row(elem_classes="actions budget"):
                day_budget, month_budget = _budget("ac-day"), _budget("ac-month", "month")
                set_budget = gr.Button("Set budget", elem_id="ac-budget")
            gr.HTML("<h3>API keys</h3>", container=False)
            keys = gr.HTML(container=False, elem_id="ac-keys")
            with gr.Row(elem_classes="actions"):
                key = gr.Dropdown([], label="Key", elem_id="ac-key")
                revoke = gr.Button("Revoke", elem_id="ac-revoke", elem_classes="asks-first")
            with gr.Row(elem_classes="actions budget"):
                key_day, key_month = _budget("ac-key-day"), _budget("ac-key-month", "month")
                set_key_budget = gr.Button("Set budget", elem_id="ac-key-budget")
            gr.HTML("<h3>Audit log</h3>", container=False)
            audit = gr.HTML(container=False, elem_id="ac-audit")
    return AdminParts(
        name, role, password, add_account, key_name, scopes, key_account, days, add_key, secret,
        note, accounts, account, new_role, change_role, disable, enable, remove, day_budget,
        month_budget, set_budget, keys, key, revoke, key_day, key_month, set_key_budget, audit,
    )  # fmt: skip


def _budget(elem_id: str, period: str = "day") -> gr.Textbox:
    return gr.Textbox(
        label=f"USD a {period}", placeholder="as in the settings", max_lines=1, elem_id=elem_id
    )
