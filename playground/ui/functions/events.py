"""What happens in the Functions tab: each event as a function from values to values.

Knows which outputs an event has and in which order; which component they are is functions.py's
matter. The form (model, functions, choice, permissions, settings) arrives as keyword arguments.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from playground.errors import InvalidRequest
from playground.protocol import Backend, Message, Request, Sampling, Tool, ToolCall
from playground.structured.calls import ToolChoice, calls_grammar
from playground.tools import Toolbox
from playground.tools.importers.definitions import tools_of_text
from playground.tools.loop import Permissions, Step, run_tools, unanswered, with_results
from playground.ui.components.errors import shows_errors
from playground.ui.components.examples import FunctionExample
from playground.ui.components.snippets import curl_snippet, structured_snippet
from playground.ui.components.status import answer_note, verdict
from playground.ui.functions.gallery import gallery_tool, tools_json, with_tools
from playground.ui.functions.layout import choice_options
from playground.ui.functions.timeline import Run, Timeline, call_label, to_chat

Updates = tuple[Any, ...]
Form = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Functions:
    """The handlers. What answers returns: timeline, chatbot, message box, running request, note,
    panel, call, result and the Run button.
    """

    backend: Backend
    toolbox: Toolbox
    examples: tuple[FunctionExample, ...]
    needs_key: bool

    @shows_errors
    async def send(
        self, draft: str, timeline: Timeline, running: str, **form: Any
    ) -> AsyncGenerator[Updates, None]:
        """The message box was submitted. Calls that still wait are denied by asking on."""
        if running or not draft.strip():
            return
        denied = tuple(call.id for call in unanswered(timeline.messages))
        asked = Message("user", draft)
        if denied:
            results = dict.fromkeys(denied, '{"error": "the user asked something else"}')
            timeline = replace(timeline, messages=with_results(timeline.messages, results))
        timeline = replace(timeline, messages=(*timeline.messages, asked))
        async with aclosing(self._go_on(timeline, form, box="")) as updates:
            async for update in updates:
                yield update

    @shows_errors
    async def approve(
        self, call_id: str, timeline: Timeline, **form: Any
    ) -> AsyncGenerator[Updates, None]:
        """The chosen call may run."""
        permissions = _permissions(form, approved=(call_id,))
        async with aclosing(self._decided(call_id, timeline, form, permissions)) as updates:
            async for update in updates:
                yield update

    @shows_errors
    async def deny(
        self, call_id: str, timeline: Timeline, **form: Any
    ) -> AsyncGenerator[Updates, None]:
        """The chosen call may not run; the model reads that."""
        permissions = _permissions(form, denied=(call_id,))
        async with aclosing(self._decided(call_id, timeline, form, permissions)) as updates:
            async for update in updates:
                yield update

    @shows_errors
    async def use(
        self, call_id: str, result: str, timeline: Timeline, **form: Any
    ) -> AsyncGenerator[Updates, None]:
        """A result was written by hand: the conversation goes on from there."""
        if not call_id or call_id not in {call.id for call in timeline.calls}:
            return
        if not result.strip():
            raise InvalidRequest("result", "is empty; write what the function returns")
        kept = with_results(timeline.before_result(call_id), {call_id: result})
        call = next(call for call in timeline.calls if call.id == call_id)
        edited = replace(timeline, messages=kept).ran(call, Run(by_hand=True))
        async with aclosing(self._go_on(edited, form)) as updates:
            async for update in updates:
                yield update

    def choose_call(self, call_id: str, timeline: Timeline) -> Updates:
        """The result of the call that was picked, if it has one."""
        call = next((each for each in timeline.calls if each.id == call_id), None)
        waits = call_id in {each.id for each in unanswered(timeline.messages)}
        runs = call is not None and waits and call.name in self.toolbox
        return (
            timeline.results.get(call_id, ""),
            gr.Button(visible=runs),
            gr.Button(visible=waits),
        )

    def settle(self, timeline: Timeline) -> Any:
        """The panel, once an event is over: a click before that would be lost (Gradio takes one
        at a time).
        """
        return gr.Column(visible=bool(timeline.calls))

    def clear(self) -> Updates:
        """An empty conversation."""
        return self._show(Timeline())

    def rest(self) -> Updates:
        """After a failure: the message box takes messages again, and nothing runs."""
        return gr.Textbox(submit_btn=True, stop_btn=False), ""

    def stop(self, running: str) -> None:
        """The answer that is being written ends where it is."""
        if running:
            self.backend.cancel(running)

    def choose_example(self, chosen: gr.SelectData) -> Updates:
        """The functions and the message of the example that was clicked."""
        example = self.examples[chosen.index]
        return tools_json(example.tools), example.prompt, "auto"

    @shows_errors
    def add_from_gallery(self, name: str | None, tools: str) -> Updates:
        """A function of the gallery joins the editor's."""
        _read(tools)
        return (with_tools(tools, [gallery_tool(name)]) if name else tools), None

    @shows_errors
    def add_pasted(self, source: str | None, tools: str) -> Updates:
        """What was pasted joins the editor's functions."""
        _read(tools)
        return with_tools(tools, tools_of_text(source or "")), ""

    def check(self, tools: str, choice: str) -> Updates:
        """What is wrong with the functions, and what may be chosen of them."""
        try:
            read = _read(tools)
            calls_grammar(read, ToolChoice())
        except InvalidRequest as error:
            return verdict(error.message, good=False), gr.skip()
        names = [tool.name for tool in read]
        options = choice_options(names)
        known = choice if choice in [value for _, value in options] else "auto"
        said = f"{len(names)} function{'' if len(names) == 1 else 's'} · arguments always fit"
        return verdict(said, good=True), gr.Dropdown(options, value=known)

    @shows_errors
    def code(self, page: gr.Request, timeline: Timeline, draft: str, **form: Any) -> Updates:
        """The panel, open, with the request as code."""
        messages = timeline.messages
        while messages and messages[-1].role == "assistant":
            messages = messages[:-1]
        if draft.strip() or not messages:
            messages = (*messages, Message("user", draft.strip() or "Hello!"))
        request, choice = _request(form, messages)
        options: dict[str, Any] = {"tools": [tool.to_openai() for tool in request.tools]}
        options["tool_choice"] = (
            {"type": "function", "function": {"name": choice.allowed[0]}}
            if choice.allowed
            else choice.mode
        )
        if not choice.parallel:
            options["parallel_tool_calls"] = False
        base_url = f"{str(page.request.base_url).rstrip('/')}/v1"
        return (
            gr.Column(visible=True),
            structured_snippet(request, base_url, options, needs_key=self.needs_key),
            curl_snippet(request, base_url, options, needs_key=self.needs_key),
        )

    def _decided(
        self, call_id: str, timeline: Timeline, form: Form, permissions: Permissions
    ) -> AsyncGenerator[Updates, None]:
        if not any(call.id == call_id for call in unanswered(timeline.messages)):
            raise InvalidRequest("call", "waits no longer; it has a result")
        return self._go_on(timeline, form, permissions)

    async def _go_on(
        self,
        timeline: Timeline,
        form: Form,
        permissions: Permissions | None = None,
        box: str | None = None,
    ) -> AsyncGenerator[Updates, None]:
        request, choice = _request(form, timeline.messages)
        permissions = permissions or _permissions(form)
        steps = run_tools(self.backend, request, self.toolbox, permissions, choice)
        note, writing = "", ""
        calling: list[str] = []
        yield self._show(timeline, note, box=box, running=request.id)
        async with aclosing(steps) as running:
            async for step in running:
                timeline = _taken(timeline, step)
                if step.event and step.event.finish_reason:
                    writing, calling = "", []
                    if step.event.usage and step.event.timings:
                        note = answer_note(
                            step.event.usage, step.event.timings, step.event.finish_reason
                        )
                elif step.event:
                    writing += step.event.text
                    calling += [delta.name for delta in step.event.calls if delta.name]
                yield self._show(timeline, note, writing, calling, running=request.id)
        yield self._show(timeline, note)

    def _show(
        self,
        timeline: Timeline,
        note: str = "",
        writing: str = "",
        calling: list[str] | None = None,
        *,
        box: str | None = None,
        running: str = "",
    ) -> Updates:
        message: dict[str, Any] = {"submit_btn": not running, "stop_btn": bool(running)}
        if box is not None:
            message["value"] = box
        waiting = unanswered(timeline.messages) if not running else ()
        at = (waiting or timeline.calls[-1:] or (None,))[0]
        labels = [(_labelled(call, call in waiting), call.id) for call in timeline.calls]
        said = f"{len(waiting)} call{'s wait' if len(waiting) > 1 else ' waits'} for a result"
        return (
            timeline,
            to_chat(timeline, writing, calling or ()),
            gr.Textbox(**message),
            running,
            said if waiting else note,
            gr.Column(visible=False),
            gr.Dropdown(labels, value=at.id if at else None),
            *self.choose_call(at.id if at else "", timeline),
        )


def _labelled(call: ToolCall, waits: bool) -> str:
    return f"{call_label(call)[:90]}{'  ·  waits' if waits else ''}"


def _taken(timeline: Timeline, step: Step) -> Timeline:
    timeline = replace(timeline, messages=step.messages)
    if step.call is None:
        return timeline
    if step.result is None:
        return timeline.ran(step.call, Run(running=True))
    return timeline.ran(step.call, Run(seconds=step.result.seconds, failed=step.result.failed))


def _read(tools: str) -> tuple[Tool, ...]:
    return tools_of_text(tools) if tools.strip() not in ("", "[]") else ()


def _permissions(form: Form, **decided: tuple[str, ...]) -> Permissions:
    policy = dict.fromkeys(form["allow"] or (), "allow")
    policy |= dict.fromkeys(form["never"] or (), "never")
    return Permissions(policy, **decided)  # type: ignore[arg-type]


def _request(form: Form, messages: tuple[Message, ...]) -> tuple[Request, ToolChoice]:
    told = form["system"] or ""  # a component in a closed accordion has no value yet
    system = (Message("system", told),) if told.strip() else ()
    kind, _, name = str(form["choice"]).partition(":")
    mode = "required" if kind == "name" else kind
    sampling = Sampling(temperature=float(form["temperature"]), max_tokens=int(form["max_tokens"]))
    request = Request(
        form["model"],
        messages if messages[0].role == "system" else (*system, *messages),
        tools=_read(form["tools"]),
        sampling=sampling,
    )
    choice = ToolChoice(mode, (name,) if name else (), bool(form["parallel"]))  # type: ignore[arg-type]
    return request, choice
