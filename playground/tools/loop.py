"""Function calling as a loop: call → approve → run → result → answer.

The conversation is the only state: whatever waits for approval is a call without a result, and the
loop goes on from any conversation, edited by hand or not. Knows no page and no HTTP.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from playground.protocol import (
    AnswerBuilder,
    Backend,
    Message,
    Request,
    StreamEvent,
    ToolCall,
    ToolChoice,
    new_request_id,
)
from playground.tools import Toolbox, ToolResult

Policy = Literal["ask", "allow", "never"]
MAX_ROUNDS = 8
DENIED = '{"error": "the user did not allow this call"}'


@dataclass(frozen=True, slots=True)
class Permissions:
    """Which calls may run: a ``policy`` for each tool name (``ask`` by default), and the ids of
    calls that somebody has decided upon.
    """

    policy: Mapping[str, Policy] = field(default_factory=dict)
    approved: Collection[str] = ()
    denied: Collection[str] = ()

    def of(self, call: ToolCall) -> Policy:
        """The policy that applies to this call."""
        if call.id in self.denied:
            return "never"
        return "allow" if call.id in self.approved else self.policy.get(call.name, "ask")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the loop.

    ``event`` while an answer is written; ``call`` when a tool begins to run, with ``result`` when
    it has ended. ``messages`` is the conversation with all that is complete. ``waiting`` are calls
    that nobody has decided upon: the loop ends with them, to be begun again with permissions or
    with results in the conversation.
    """

    messages: tuple[Message, ...]
    event: StreamEvent | None = None
    call: ToolCall | None = None
    result: ToolResult | None = None
    waiting: tuple[ToolCall, ...] = ()


def unanswered(messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls at the conversation's end that have no result yet."""
    answered = set()
    for message in reversed(messages):
        if message.role != "tool":
            return tuple(call for call in message.tool_calls if call.id not in answered)
        answered.add(message.tool_call_id)
    return ()


def with_results(messages: Sequence[Message], results: Mapping[str, str]) -> tuple[Message, ...]:
    """The conversation with results for its last calls, by id, in the order of the calls; one that
    was there is replaced.
    """
    last = max(index for index, message in enumerate(messages) if message.role != "tool")
    known = {message.tool_call_id: message.content for message in messages[last + 1 :]} | dict(
        results
    )
    return (
        *messages[: last + 1],
        *(
            Message("tool", known[call.id], tool_call_id=call.id, name=call.name)
            for call in messages[last].tool_calls
            if call.id in known
        ),
    )


async def run_tools(
    backend: Backend,
    request: Request,
    toolbox: Toolbox,
    permissions: Permissions = Permissions(),
    max_rounds: int = MAX_ROUNDS,
) -> AsyncGenerator[Step, None]:
    """Answer ``request``, running the tools it calls, until there is an answer without calls or a
    call waits for approval.

    Results of one round are computed side by side. The request's tool choice holds for the first
    answer; later ones are free to call or not, and after ``max_rounds`` rounds of calls the model
    has to answer without. Calls of an answer that was cut are never run, and left out of the
    conversation. A tool's failure is its result. Raises what the backend raises.
    """
    for number in range(max_rounds + 1):
        if unanswered(request.messages):
            async with aclosing(_run_calls(request.messages, toolbox, permissions)) as steps:
                async for step in steps:
                    request = replace(request, messages=step.messages)
                    yield step
            if unanswered(request.messages):
                return
        if request.messages and request.messages[-1].role == "tool":
            choice = _later_choice(request.tool_choice, last=number == max_rounds)
            request = replace(request, tool_choice=choice)
        if number:
            request = replace(request, id=new_request_id())
        builder = AnswerBuilder()
        async with aclosing(backend.stream(request)) as events:
            async for event in events:
                answer = builder.add(event)
                if answer:
                    to_run = answer.calls if answer.finish_reason == "tool_calls" else ()
                    message = Message("assistant", answer.text, to_run, reasoning=answer.reasoning)
                    request = replace(request, messages=(*request.messages, message))
                yield Step(request.messages, event=event)
        if not unanswered(request.messages):
            return


def _later_choice(choice: ToolChoice, *, last: bool) -> ToolChoice:
    """The choice after results: a forced function is done with, a list of allowed ones holds."""
    names = choice.names if len(choice.names) > 1 else ()
    return replace(choice, mode="none" if last else "auto", names=names)


async def _run_calls(
    messages: tuple[Message, ...], toolbox: Toolbox, permissions: Permissions
) -> AsyncGenerator[Step, None]:
    """Run allowed calls, deny forbidden ones, and report those that wait for approval."""
    waiting = unanswered(messages)
    denied = [call for call in waiting if permissions.of(call) == "never"]
    messages = with_results(messages, {call.id: DENIED for call in denied})
    for call in denied:
        yield Step(messages, call=call, result=ToolResult(DENIED, 0.0, failed=True))
    running = {
        asyncio.create_task(toolbox.run(call)): call
        for call in waiting
        if permissions.of(call) == "allow" and call.name in toolbox
    }
    for call in running.values():
        yield Step(messages, call=call)
    try:
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                call, result = running.pop(task), task.result()
                messages = with_results(messages, {call.id: result.text})
                yield Step(messages, call=call, result=result)
    finally:
        for task in running:
            task.cancel()
    left = unanswered(messages)
    if left:
        yield Step(messages, waiting=left)
