"""What happens in the Functions tab: each event is a method from values to named updates.

The form (model, functions, tool choice, permissions, settings) arrives as keyword arguments.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict, Unpack, cast

import gradio as gr

from playground.errors import InvalidRequest
from playground.protocol import (
    Answer,
    AnswerBuilder,
    CallDelta,
    Message,
    Request,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)
from playground.structured.tool_grammar import check_tools
from playground.tools import Toolbox
from playground.tools.importers.definitions import tools_of_text
from playground.tools.loop import Permissions, Policy, Step, unanswered, with_results
from playground.ui.components.answering import Answering
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.code_panel import CodeUpdate, code_update
from playground.ui.components.examples import FunctionExample
from playground.ui.components.running import RunningAnswers
from playground.ui.components.snippets import api_address
from playground.ui.components.status import answer_note, made_by, verdict
from playground.ui.functions.gallery import gallery_tool, tools_json, with_tools
from playground.ui.functions.layout import choice_options
from playground.ui.functions.timeline import (
    Run,
    Timeline,
    call_label,
    from_text,
    to_chat,
    to_text,
)
from playground.ui.functions.updates import (
    CallUpdate,
    ConversationUpdate,
    DefinitionsUpdate,
    IdleUpdate,
    PanelUpdate,
    StoredUpdate,
)
from playground.ui.history.recording import Recorder

LONGEST_LABEL = 90


class FunctionForm(TypedDict):
    """The inputs that make a request, by the names of the handlers' arguments."""

    model: str
    tools: str
    choice: str
    parallel: bool
    allow: list[str] | None
    never: list[str] | None
    system: str | None
    temperature: float
    max_tokens: float
    conversation: str


@dataclass(frozen=True, slots=True)
class FunctionHandlers:
    """The handlers."""

    answering: Answering
    toolbox: Toolbox
    examples: tuple[FunctionExample, ...]
    needs_key: bool
    recorder: Recorder = field(default_factory=Recorder)
    running: RunningAnswers = field(default_factory=RunningAnswers)

    async def send(
        self, draft: str, timeline: Timeline, running: str, **form: Unpack[FunctionForm]
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Answer the message in the box. Calls that still wait are denied by asking on."""
        if running or not draft.strip():
            return
        denied = tuple(call.id for call in unanswered(timeline.messages))
        if denied:
            results = dict.fromkeys(denied, '{"error": "the user asked something else"}')
            timeline = replace(timeline, messages=with_results(timeline.messages, results))
        timeline = replace(timeline, messages=(*timeline.messages, Message("user", draft)))
        async with aclosing(self._answer(timeline, form, draft="")) as updates:
            async for update in updates:
                yield update

    async def approve(
        self, call_id: str, timeline: Timeline, **form: Unpack[FunctionForm]
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Run the chosen call."""
        permissions = replace(_permissions(form), approved=(call_id,))
        async with aclosing(self._decide(call_id, timeline, form, permissions)) as updates:
            async for update in updates:
                yield update

    async def deny(
        self, call_id: str, timeline: Timeline, **form: Unpack[FunctionForm]
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Refuse the chosen call; the model is told so."""
        permissions = replace(_permissions(form), denied=(call_id,))
        async with aclosing(self._decide(call_id, timeline, form, permissions)) as updates:
            async for update in updates:
                yield update

    async def use_result(
        self, call_id: str, result: str, timeline: Timeline, **form: Unpack[FunctionForm]
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Continue the conversation from a result that was written by hand."""
        call = next((call for call in timeline.calls if call.id == call_id), None)
        if call is None:
            return
        if not result.strip():
            raise InvalidRequest("result", "is empty; write what the function returns")
        messages = with_results(timeline.before_result(call_id), {call_id: result})
        edited = replace(timeline, messages=messages).ran(call, Run(by_hand=True))
        async with aclosing(self._answer(edited, form)) as updates:
            async for update in updates:
                yield update

    def choose_call(self, call_id: str, timeline: Timeline) -> CallUpdate:
        """Show the result of a call, if it has one."""
        call = next((call for call in timeline.calls if call.id == call_id), None)
        waits = call_id in {waiting.id for waiting in unanswered(timeline.messages)}
        can_run = call is not None and waits and call.name in self.toolbox
        return CallUpdate(
            result=timeline.results.get(call_id, ""),
            run=gr.Button(visible=can_run),
            deny=gr.Button(visible=waits),
        )

    def show_panel(self, timeline: Timeline) -> PanelUpdate:
        """Show the panel once an event is over: an earlier click would be lost, as Gradio takes one
        event of a component at a time.
        """
        return PanelUpdate(gr.Column(visible=bool(timeline.calls)))

    async def new_chat(self, running: str) -> ConversationUpdate:
        """Empty the conversation. An answer that is being written ends, and what still comes of it
        is not shown.
        """
        if running:
            self.running.discard(running)
            self.answering.cancel(running)
            await self.running.ended(running)
        return self._show(Timeline())

    def store(self, timeline: Timeline) -> StoredUpdate:
        """Hand the conversation to the browser, which keeps it over a reload."""
        return StoredUpdate(to_text(timeline))

    async def restore_conversation(
        self, stored: str | None
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Show the conversation that the browser kept; without one, leave what is shown."""
        if stored:
            yield self._show(from_text(stored))

    def reset_inputs(self) -> IdleUpdate:
        """After a failure: open the message box."""
        return IdleUpdate(message=gr.Textbox(submit_btn=True, stop_btn=False))

    def stop(self, running: str) -> None:
        """End the answer that is being written."""
        self.answering.cancel(running)

    def choose_example(self, chosen: gr.SelectData) -> DefinitionsUpdate:
        """Fill in the functions and the message of an example card."""
        example = self.examples[chosen.index]
        return DefinitionsUpdate(
            tools=tools_json(example.tools),
            message=example.prompt,
            choice="auto",
        )

    def add_from_gallery(self, name: str | None, tools: str) -> DefinitionsUpdate:
        """Add a function of the gallery to the editor."""
        _read(tools)
        added = with_tools(tools, [gallery_tool(name)]) if name else UNCHANGED
        return DefinitionsUpdate(tools=added, gallery=None)

    def add_pasted(self, source: str | None, tools: str) -> DefinitionsUpdate:
        """Add what was pasted to the functions in the editor."""
        _read(tools)
        return DefinitionsUpdate(tools=with_tools(tools, tools_of_text(source or "")), paste="")

    async def check(self, tools: str, choice: str, model: str | None) -> DefinitionsUpdate:
        """Say what is wrong with the functions, and offer them as tool choices."""
        try:
            definitions = _read(tools)
            check_tools(definitions)
        except InvalidRequest as error:
            return DefinitionsUpdate(verdict=verdict(error.message, good=False))
        names = [tool.name for tool in definitions]
        options = choice_options(names)
        known = choice if choice in [value for _, value in options] else "auto"
        enforced = (await self.answering.model(model)).capabilities.enforces
        arguments = "always valid" if enforced else "checked when they are complete"
        text = f"{len(names)} function{'' if len(names) == 1 else 's'} · arguments {arguments}"
        return DefinitionsUpdate(
            verdict=verdict(text, good=True), choice=gr.Dropdown(options, value=known)
        )

    def code(
        self, page: gr.Request, timeline: Timeline, draft: str, **form: Unpack[FunctionForm]
    ) -> CodeUpdate:
        """Open the panel with the request as code."""
        messages = timeline.messages
        while messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        if draft.strip() or not messages:
            messages = (*messages, Message("user", draft.strip() or "Hello!"))
        request = _request(form, messages)
        return code_update(request, api_address(page), needs_key=self.needs_key)

    def _decide(
        self, call_id: str, timeline: Timeline, form: FunctionForm, permissions: Permissions
    ) -> AsyncGenerator[ConversationUpdate, None]:
        if not any(call.id == call_id for call in unanswered(timeline.messages)):
            raise InvalidRequest("call", "has a result already")
        return self._answer(timeline, form, permissions)

    async def _answer(
        self,
        timeline: Timeline,
        form: FunctionForm,
        permissions: Permissions | None = None,
        draft: str | None = None,
    ) -> AsyncGenerator[ConversationUpdate, None]:
        request = _request(form, timeline.messages)
        permissions = permissions or _permissions(form)
        note, builder, byline = "", AnswerBuilder(), request.model
        timeline = replace(timeline, cut=()).by("")
        with self.running.writing(request.id):
            yield self._show(timeline, note, draft=draft, running=request.id)
            conversation = await self.recorder.keep_functions_or_warn(
                timeline, form["conversation"], form["model"], form["system"], form["tools"]
            )
            yield replace(self._show(timeline, note, running=request.id), conversation=conversation)
            request = replace(request, conversation=conversation)
            running = self.answering.run_tools(request, self.toolbox, permissions)
            async with aclosing(running) as steps:
                async for step in steps:
                    if self.running.is_discarded(request.id):
                        break
                    timeline = _after(timeline, step)
                    answer = builder.add(step.event) if step.event else None
                    if answer:
                        note, builder = answer_note(answer), AnswerBuilder()
                        byline = made_by(request.model, answer.provenance)
                        timeline = replace(timeline, cut=_cut_calls(answer))
                    timeline = timeline.by(byline)
                    yield self._show(timeline, note, builder, running=request.id, byline=byline)
            is_cleared = self.running.is_discarded(request.id)
            yield self._show(Timeline()) if is_cleared else self._show(timeline, note)

    def _show(
        self,
        timeline: Timeline,
        note: str = "",
        builder: AnswerBuilder | None = None,
        *,
        draft: str | None = None,
        running: str = "",
        byline: str = "",
    ) -> ConversationUpdate:
        box: dict[str, object] = {"submit_btn": not running, "stop_btn": bool(running)}
        if draft is not None:
            box["value"] = draft
        waiting = unanswered(timeline.messages) if not running else ()
        current = (waiting or timeline.calls[-1:] or (None,))[0]
        labels = [(_labelled(call, call in waiting), call.id) for call in timeline.calls]
        count = f"{len(waiting)} call{'s wait' if len(waiting) > 1 else ' waits'} for a result"
        chosen = self.choose_call(current.id if current else "", timeline)
        return ConversationUpdate(
            timeline=timeline,
            chatbot=to_chat(timeline, builder, byline),
            message=gr.Textbox(**box),
            running=running,
            note=count if waiting else note,
            panel=gr.Column(visible=False),
            call=gr.Dropdown(labels, value=current.id if current else None),
            result=chosen.result,
            run=chosen.run,
            deny=chosen.deny,
        )


def _labelled(call: ToolCall, waits: bool) -> str:
    return f"{call_label(call)[:LONGEST_LABEL]}{'  ·  waiting' if waits else ''}"


def _after(timeline: Timeline, step: Step) -> Timeline:
    timeline = replace(timeline, messages=step.messages)
    if step.call is None:
        return timeline
    if step.result is None:
        return timeline.ran(step.call, Run(running=True))
    return timeline.ran(step.call, Run(seconds=step.result.seconds, failed=step.result.failed))


def _cut_calls(answer: Answer) -> tuple[CallDelta, ...]:
    """The calls of an answer that was cut; the last one's arguments break off."""
    if answer.finish_reason == "tool_calls":
        return ()
    whole = (CallDelta(n, c.id, c.name, c.arguments) for n, c in enumerate(answer.calls))
    return (*whole, *((answer.cut_call,) if answer.cut_call else ()))


def _read(tools: str) -> tuple[Tool, ...]:
    return tools_of_text(tools) if tools.strip() not in ("", "[]") else ()


def _permissions(form: FunctionForm) -> Permissions:
    policy: dict[str, Policy] = dict.fromkeys(form["allow"] or (), "allow")
    policy |= dict.fromkeys(form["never"] or (), "never")
    return Permissions(policy)


def _request(form: FunctionForm, messages: tuple[Message, ...]) -> Request:
    prompt = form["system"] or ""  # an input in a closed accordion has no value yet
    system = (Message("system", prompt),) if prompt.strip() else ()
    kind, _, name = form["choice"].partition(":")
    mode = cast("Literal['auto', 'none', 'required']", "required" if kind == "name" else kind)
    sampling = Sampling(temperature=float(form["temperature"]), max_tokens=int(form["max_tokens"]))
    return Request(
        form["model"],
        messages if messages[0].role == "system" else (*system, *messages),
        tools=_read(form["tools"]),
        tool_choice=ToolChoice(mode, (name,) if name else (), bool(form["parallel"])),
        sampling=sampling,
    )
