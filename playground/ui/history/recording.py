"""How the tabs keep their conversations: each time one is asked, answered or changed."""

import asyncio
import html
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import gradio as gr

from playground.access import current_identity
from playground.errors import InvalidRequest, PlaygroundError
from playground.lab import Lane
from playground.lab.history.items import message_item
from playground.store import NewAnswer
from playground.store.conversation_types import Kind, NewConversation, NewItem
from playground.store.conversations import Conversations
from playground.tools.importers.definitions import tools_of_text
from playground.ui.components.binding import UNCHANGED, Unchanged
from playground.ui.components.messages import History
from playground.ui.components.sampling import ControlValue
from playground.ui.functions.timeline import Timeline
from playground.ui.history.turns import path_of, path_of_timeline

CONVERSATION, TEMPORARY, PROMPT = "conversation", "temporary", "prompt"
"""Arguments that a handler gets beside the sampling parameters."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordUpdate:
    """The id of the conversation that a tab shows."""

    conversation: str | Unchanged = UNCHANGED


@dataclass(slots=True)
class Keeper:
    """Keeps one conversation of the Chat tab while it is answered; nothing of a temporary one."""

    store: Conversations | None
    conversation: str
    facts: NewConversation

    async def save(self, history: History) -> str:
        """Keep what is shown; returns the conversation's id, empty if nothing is kept."""
        path = path_of(history)
        if self.store is None or not path:
            return self.conversation
        self.conversation = await asyncio.to_thread(
            self.store.record, self.conversation, path, self.facts
        )
        return self.conversation

    async def save_or_warn(self, history: History) -> str:
        """Keep what is shown; a database that does not take it is said, and spoils no answer."""
        try:
            return await self.save(history)
        except PlaygroundError as error:
            _warn(error)
            return self.conversation


@dataclass(frozen=True, slots=True)
class Recorder:
    """Keeps the conversations of all tabs; without a store none of them, and none of a guest."""

    kept: Conversations | None = None

    @property
    def store(self) -> Conversations | None:
        """Where conversations of whoever asks are kept."""
        return self.kept if current_identity().keeps_history else None

    def keeper(self, values: dict[str, ControlValue], model: str, system: str) -> Keeper:
        """Return a keeper for the conversation that ``values`` names, and take that out of them."""
        conversation = str(values.pop(CONVERSATION, "") or "")
        store = None if values.pop(TEMPORARY, False) else self.store
        facts = NewConversation(kind="chat", model=model, system=system)
        return Keeper(store, conversation if store else "", facts)

    async def record_chat(
        self, history: History, conversation: str, temporary: bool, model: str, system: str
    ) -> RecordUpdate:
        """Keep the conversation of the Chat tab as it is shown now."""
        values: dict[str, ControlValue] = {CONVERSATION: conversation, TEMPORARY: temporary}
        kept = await self.keeper(values, model, system).save(history)
        return RecordUpdate(kept) if kept != conversation else RecordUpdate()

    async def record_functions(
        self, timeline: Timeline, conversation: str, model: str, system: str | None, tools: str
    ) -> RecordUpdate:
        """Keep the conversation of the Functions tab as it is shown now."""
        return RecordUpdate(await self.keep_functions(timeline, conversation, model, system, tools))

    async def keep_functions(
        self, timeline: Timeline, conversation: str, model: str, system: str | None, tools: str
    ) -> str:
        """Keep the conversation of the Functions tab; returns its id, empty if it is."""
        path = path_of_timeline(timeline)
        if not path or self.store is None:
            return conversation if path else ""
        try:
            definitions = tools_of_text(tools) if tools.strip() not in ("", "[]") else ()
        except InvalidRequest:  # the editor may hold anything by now
            definitions = ()
        facts = NewConversation(
            kind="functions",
            model=model,
            system=system or "",
            tools=[tool.to_openai() for tool in definitions],
        )
        return await asyncio.to_thread(self.store.record, conversation, path, facts)

    async def keep_functions_or_warn(
        self, timeline: Timeline, conversation: str, model: str, system: str | None, tools: str
    ) -> str:
        """As `keep_functions`; a database that does not take it is said, and spoils no answer."""
        try:
            return await self.keep_functions(timeline, conversation, model, system, tools)
        except PlaygroundError as error:
            _warn(error)
            return conversation

    def record_lanes(
        self,
        questions: Sequence[str],
        lanes: Sequence[Lane],
        answers: Sequence[Sequence[NewAnswer]],
        conversation: str = "",
    ) -> str:
        """Keep a comparison as it is now: each lane a branch. ``answers`` are by question and lane;
        the last question may have none yet. Returns the conversation's id, empty if it was not
        kept."""
        if self.store is None:
            return ""
        kind: Kind = "compare"
        systems = {answer.system for answer in answers[-1]} if answers else set()
        facts = NewConversation(
            kind=kind,
            model=" · ".join(dict.fromkeys(lane.model for lane in lanes)),
            system=systems.pop() if len(systems) == 1 else "",
        )
        try:
            answered = range(len(lanes)) if len(answers) == len(questions) else ()
            for number in (*answered, 0):  # the first lane's branch is shown
                path = _lane_path(questions, number, answers)
                conversation = self.store.record(conversation, path, facts)
        except PlaygroundError as error:
            _warn(error)
        return conversation


def _lane_path(
    questions: Sequence[str], number: int, answers: Sequence[Sequence[NewAnswer]]
) -> list[NewItem]:
    path: list[NewItem] = []
    for question, given in zip_longest(questions, answers):
        path.append(NewItem(message_item("user", question)))
        if given is None:
            break
        answer = given[number]
        about = {
            "lane": number,
            "byline": answer.model,
            "system": answer.system,
            "settings": dict(answer.settings),
        } | ({"prompt": answer.prompt} if answer.prompt else {})
        path.append(NewItem(message_item("assistant", answer.text), about, variant=str(number)))
    return path


def _warn(error: PlaygroundError) -> None:
    logger.warning("a conversation was not kept: %s", error.message)
    gr.Warning(html.escape(error.message, quote=False), title="Not kept in the history")
