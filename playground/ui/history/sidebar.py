"""The sidebar: built before the tabs, wired once they are there."""

from dataclasses import dataclass

import gradio as gr
from gradio.events import Dependency

from playground.store.conversations import Conversations
from playground.ui.chat.layout import ChatParts
from playground.ui.components.answering import Answering
from playground.ui.components.binding import bind
from playground.ui.components.events import ACTION, UNQUEUED
from playground.ui.functions.layout import FunctionParts
from playground.ui.history.events import PAGE_SIZE, HistoryHandlers
from playground.ui.history.layout import HistoryParts, history_parts


@dataclass(frozen=True, slots=True)
class Opened:
    """Everything that opening a conversation may change."""

    details: object
    tabs: gr.Tabs
    chat: ChatParts
    functions: FunctionParts


def history_sidebar(
    page: gr.Blocks,
    store: Conversations,
    answering: Answering,
    tabs: gr.Tabs,
    chat: ChatParts,
    functions: FunctionParts,
    restored: Dependency,
) -> None:
    """Build the sidebar in the current layout and wire it with the tabs. ``restored`` is the event
    after which the Chat tab shows what the browser kept."""
    parts = history_parts(PAGE_SIZE)
    handlers = HistoryHandlers(store, answering)
    shown = [chat.conversation, functions.conversation]
    listing = [parts.query, parts.scope, parts.limit, *shown]
    refresh = {**bind(handlers.refresh, parts), "inputs": listing, **UNQUEUED}
    gr.on(
        [page.load, chat.running.change, functions.running.change]
        + [each.change for each in shown],
        **refresh,
        trigger_mode="always_last",
    )
    gr.on(
        [parts.query.change, parts.scope.input],
        **bind(handlers.search, parts),
        inputs=[parts.query, parts.scope, *shown],
        trigger_mode="always_last",
        **UNQUEUED,
    )
    parts.listed.like(**bind(handlers.show_more, parts), inputs=listing, **UNQUEUED)
    for tab, other in ((chat, functions), (functions, chat)):
        gr.on(
            [tab.conversation.change, tab.running.change],
            **bind(handlers.follow, parts.details),
            inputs=[tab.conversation, other.conversation, parts.details.opened],
            trigger_mode="always_last",
            **UNQUEUED,
        )
    # Nothing changes for the server where the browser restores what it kept (Gradio 6.31).
    restored.then(**refresh).then(
        **bind(handlers.follow, parts.details), inputs=[*shown, parts.details.opened], **UNQUEUED
    )
    _wire_details(parts, handlers, Opened(parts.details, tabs, chat, functions), refresh)
    _wire_files(parts, handlers, refresh)


def _wire_details(
    parts: HistoryParts, handlers: HistoryHandlers, opened: Opened, refresh: dict[str, object]
) -> None:
    details = parts.details
    running = [opened.chat.running, opened.functions.running]
    shown = [opened.chat.conversation, opened.functions.conversation]
    parts.listed.select(**bind(handlers.open, opened), inputs=running, **ACTION)
    details.branch.input(
        **bind(handlers.show_branch, opened),
        inputs=[details.branch, details.opened, *running],
        **ACTION,
    )
    forked = details.fork.click(
        **bind(handlers.fork, opened), inputs=[details.turn, details.opened, *running], **ACTION
    )
    saved = details.save.click(
        **bind(handlers.save),
        inputs=[details.opened, details.title, details.folder, details.tags],
        **ACTION,
    )
    archived = details.archive.click(
        **bind(handlers.archive, details), inputs=details.opened, **ACTION
    )
    details.delete.click(**bind(handlers.ask_to_delete, details), inputs=None, **UNQUEUED)
    details.keep.click(**bind(handlers.keep_it, details), inputs=None, **UNQUEUED)
    deleted = details.really.click(
        **bind(handlers.delete, opened), inputs=[details.opened, *shown, *running], **ACTION
    )
    details.form.input(
        **bind(handlers.export_one, details), inputs=[details.opened, details.form], **ACTION
    )
    for event in (forked, saved, archived, deleted):
        event.success(**refresh)


def _wire_files(parts: HistoryParts, handlers: HistoryHandlers, refresh: dict[str, object]) -> None:
    imported = parts.upload.upload(
        **bind(handlers.import_file, parts), inputs=parts.upload, **ACTION
    )
    imported.success(**refresh)
    parts.prepare.click(**bind(handlers.export_all, parts), inputs=None, **ACTION)
