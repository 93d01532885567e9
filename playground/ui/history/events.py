"""What happens in the sidebar: each event is a method from values to named updates."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from playground.errors import Conflict, UnknownConversation
from playground.lab.history import ExportFormat, every, export, read_conversations
from playground.store.conversation_types import Conversation, Summary, Wanted
from playground.store.conversations import Conversations
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.downloads import download_file
from playground.ui.components.status import note
from playground.ui.functions.timeline import Timeline, to_chat, to_text
from playground.ui.history.layout import ARCHIVED, EVERYTHING
from playground.ui.history.turns import history_of, preview_of, timeline_of
from playground.ui.history.updates import (
    BackupUpdate,
    ChatOpened,
    ConfirmUpdate,
    DetailUpdate,
    DownloadUpdate,
    FunctionsOpened,
    ListUpdate,
    NoteUpdate,
    OpenUpdate,
)
from playground.ui.history.views import list_html

PAGE_SIZE = 50
FOLDER, TAG = "folder:", "tag:"
NOTHING_YET = "Conversations are kept here as soon as you send a message."
NOTHING_FOUND = "No conversation has these words."


@dataclass(frozen=True, slots=True)
class HistoryHandlers:
    """The handlers. ``shown`` are the conversations that the Chat and the Functions tab show."""

    store: Conversations
    answering: Answering

    async def refresh(self, query: str, scope: str, limit: int, *shown: str) -> ListUpdate:
        """List conversations, the latest changed first, and the folders and tags there are."""
        return await asyncio.to_thread(self._listed, query, scope, limit, shown)

    async def search(self, query: str, scope: str, *shown: str) -> ListUpdate:
        """List what has the words that are typed, from the beginning of the list."""
        return await asyncio.to_thread(self._listed, query, scope, PAGE_SIZE, shown)

    async def show_more(self, query: str, scope: str, limit: int, *shown: str) -> ListUpdate:
        """List more of them."""
        return await asyncio.to_thread(self._listed, query, scope, limit + PAGE_SIZE, shown)

    async def open(self, chosen: gr.EventData, *running: str) -> OpenUpdate:
        """Show the conversation that was clicked in its tab.

        Raises `Conflict` while an answer is being written: it would be written into it.
        """
        wanted = str(chosen.conversation)
        return await self._open(wanted, running)

    async def show_branch(self, item_id: str, opened: str, *running: str) -> OpenUpdate:
        """Show another branch of the conversation that is open."""
        _refuse_while(running)
        await asyncio.to_thread(self.store.change, opened, head_id=item_id)
        return await self._open(opened, running)

    async def fork(self, item_id: str | None, opened: str, *running: str) -> OpenUpdate:
        """Go on from a turn in a conversation of its own."""
        _refuse_while(running)
        made = await asyncio.to_thread(self.store.fork, opened, item_id)
        return await self._open(made.id, running)

    async def follow(self, conversation: str, other: str = "", opened: str = "") -> DetailUpdate:
        """Show what can be done with the conversation that a tab shows now, or if it shows none,
        that the other tab shows. Of the one that is open already, what is being typed and asked
        stays."""
        try:
            found = await asyncio.to_thread(self.store.find, conversation or other)
        except UnknownConversation:
            return DetailUpdate(gr.Column(visible=False), "")
        details = await asyncio.to_thread(self._details, found)
        if found.id != opened:
            return details
        return DetailUpdate(
            details.panel, opened, branch=details.branch, turn=details.turn,
            download=details.download, archive=details.archive,
        )  # fmt: skip

    async def save(
        self, opened: str, title: str, folder: str | None, tags: list[str] | None
    ) -> None:
        """Rename the conversation, and put it where it was put."""
        await asyncio.to_thread(
            self.store.change, opened, title=title, folder=folder or "", tags=tags or []
        )

    async def archive(self, opened: str) -> DetailUpdate:
        """Archive the conversation, or take it back."""
        found = await asyncio.to_thread(self.store.find, opened)
        is_archived = found.summary.archived
        await asyncio.to_thread(self.store.change, opened, archived=not is_archived)
        return await self.follow(opened, opened=opened)

    def ask_to_delete(self) -> ConfirmUpdate:
        """Ask before anything is deleted."""
        return ConfirmUpdate(gr.Row(visible=True))

    def keep_it(self) -> ConfirmUpdate:
        """Delete nothing."""
        return ConfirmUpdate(gr.Row(visible=False))

    async def delete(self, opened: str, chat: str, functions: str, *running: str) -> OpenUpdate:
        """Delete the conversation, and empty the tab that shows it."""
        _refuse_while(running)
        await asyncio.to_thread(self.store.delete, opened)
        closed = DetailUpdate(gr.Column(visible=False), "", confirm=gr.Row(visible=False))
        return OpenUpdate(
            closed,
            chat=ChatOpened([], "") if chat == opened else UNCHANGED,
            functions=FunctionsOpened(Timeline(), [], "", "") if functions == opened else UNCHANGED,
        )

    async def export_one(self, opened: str, form: ExportFormat) -> DownloadUpdate:
        """Make the file of the conversation that is open."""
        found = await asyncio.to_thread(self.store.find, opened)
        return DownloadUpdate(_download(found, form))

    async def export_all(self) -> BackupUpdate:
        """Make a file of everything, archived conversations included."""

        def write() -> str:
            file = export(list(every(self.store, Wanted(archived=None))), "json")
            return download_file(file.name, file.text)

        path = await asyncio.to_thread(write)
        return BackupUpdate(gr.DownloadButton(value=path, visible=True))

    async def import_file(self, path: str | None) -> NoteUpdate:
        """Import a file, and say what came of it."""
        if not path:
            return NoteUpdate("")
        data = await asyncio.to_thread(Path(path).read_bytes)
        imported = await asyncio.to_thread(read_conversations, data)
        added = await asyncio.to_thread(self.store.add_all, imported.conversations)
        lines = [f"{added:,} conversations of {imported.source} imported"]
        if known := len(imported.conversations) - added:
            lines.append(f"{known:,} were there already")
        lines += imported.problems[:5]
        return NoteUpdate(note(" · ".join(lines), bad=bool(imported.problems)))

    def _listed(self, query: str, scope: str, limit: int, shown: tuple[str, ...]) -> ListUpdate:
        wanted = Wanted(
            query or "",
            folder=scope.removeprefix(FOLDER) if scope.startswith(FOLDER) else None,
            tag=scope.removeprefix(TAG) if scope.startswith(TAG) else None,
            archived=scope == ARCHIVED,
            limit=limit,
        )
        page = self.store.list(wanted)
        scopes = [
            ("All conversations", EVERYTHING),
            *(
                (f"{name}  ·  {count}", FOLDER + name)
                for name, count in self.store.folders().items()
            ),
            *((f"# {name}  ·  {count}", TAG + name) for name, count in self.store.tags().items()),
            ("Archived", ARCHIVED),
        ]
        empty = NOTHING_FOUND if query else NOTHING_YET if scope == EVERYTHING else "Nothing here."
        value = scope if scope in [value for _, value in scopes] else EVERYTHING
        return ListUpdate(list_html(page, shown, empty), gr.Dropdown(scopes, value=value), limit)

    async def _open(self, conversation_id: str, running: tuple[str, ...]) -> OpenUpdate:
        _refuse_while(running)
        found = await asyncio.to_thread(self.store.find, conversation_id)
        details = await asyncio.to_thread(self._details, found)
        if found.summary.kind == "functions":
            timeline = timeline_of(found)
            tools = json.dumps([_definition(tool) for tool in found.tools], indent=2)
            opened = FunctionsOpened(
                timeline, to_chat(timeline), found.id, to_text(timeline),
                tools if found.tools else UNCHANGED,
            )  # fmt: skip
            return OpenUpdate(details, gr.Tabs(selected="functions"), functions=opened)
        served = await self.answering.model_names()
        model = found.summary.model if found.summary.model in served else UNCHANGED
        shown = ChatOpened(history_of(found), found.id, found.system, model, temporary=False)
        return OpenUpdate(details, gr.Tabs(selected="chat"), chat=shown)

    def _details(self, found: Conversation) -> DetailUpdate:
        summary, path, leaves = found.summary, found.path(), found.leaves()
        turns = [(f"{place}. {preview_of(item)}", item.id) for place, item in enumerate(path, 1)]
        branches = [
            (f"{place} of {len(leaves)}: {preview_of(leaf)}", leaf.id)
            for place, leaf in enumerate(leaves, 1)
        ]
        head = found.head_id if found.head_id in [leaf.id for leaf in leaves] else None
        return DetailUpdate(
            panel=gr.Column(visible=True),
            opened=found.id,
            title=summary.title,
            folder=_own_words(list(self.store.folders()), summary.folder or None),
            tags=_own_words(list(self.store.tags()), list(summary.tags)),
            branch=gr.Dropdown(branches, value=head, visible=len(leaves) > 1),
            turn=gr.Dropdown(turns, value=path[-1].id if path else None),
            form="json",
            download=_download(found, "json"),
            archive=gr.Button(_archiving(summary)),
            confirm=gr.Row(visible=False),
        )


def _own_words(known: list[str], value: str | list[str] | None) -> gr.Dropdown:
    multiple = isinstance(value, list)
    return gr.Dropdown(known, value=value, multiselect=multiple, allow_custom_value=True)


def _archiving(summary: Summary) -> str:
    return "Unarchive" if summary.archived else "Archive"


def _definition(tool: dict[str, object]) -> object:
    """A function as the editor of the Functions tab has it."""
    return tool.get("function", tool)


def _download(found: Conversation, form: ExportFormat) -> gr.DownloadButton:
    file = export([found], form)
    return gr.DownloadButton(value=download_file(file.name, file.text), interactive=bool(file.text))


def _refuse_while(running: tuple[str, ...]) -> None:
    if any(running):
        raise Conflict("an answer is being written; wait for it or stop it first")
