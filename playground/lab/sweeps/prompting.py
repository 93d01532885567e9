"""A row in a prompt: templates filled in, the request that asks one cell for one row's answer.

Knows no backend.
"""

from collections.abc import Mapping

from playground.errors import InvalidRequest
from playground.evaluation.graders import Grader
from playground.lab.prompt_templates import render_template, undeclared
from playground.lab.sweeps.definition import Cell, Sweep, SweepPrompt, SweepRow, sampling_of
from playground.protocol import Message, Priority, Request, ResponseFormat

INPUT = "{{ input }}"
"""What is asked where neither prompt nor row has a message."""
SAMPLE = "sample"
"""The answer, as OpenAI's graders name it: ``{{ sample.output_text }}``."""


def values_of(row: SweepRow, output: str = "") -> dict[str, object]:
    """Return what templates of this row may use: its fields, and the row as ``item``."""
    return {**row.variables, "item": row.variables, SAMPLE: {"output_text": output}}


def known_names(row: SweepRow) -> set[str]:
    """Names that a template of this row may use."""
    return set(values_of(row))


def messages_for(prompt: SweepPrompt, row: SweepRow) -> tuple[Message, ...]:
    """Return the conversation that is asked. Raises `InvalidRequest`."""
    values = {**prompt.defaults, **values_of(row)}
    messages = tuple(_filled(message, values, prompt.name) for message in prompt.messages)
    if not prompt.takes_conversation:
        return messages
    if not row.messages:
        user = render_template(INPUT, values, f"prompt {prompt.name}")
        return (*messages, Message("user", user))
    has_system = any(message.role == "system" for message in messages)
    own = [each for each in row.messages if not (has_system and each.role == "system")]
    return (*messages, *own)


def _filled(message: Message, values: Mapping[str, object], name: str) -> Message:
    return Message(
        message.role,
        render_template(message.content, values, f"prompt {name}"),
        message.tool_calls,
        message.tool_call_id,
        message.name,
    )


def request_for(cell: Cell, row: SweepRow, adapter_hash: str = "") -> Request:
    """Return the request for one answer. Raises `InvalidRequest`."""
    schema = cell.prompt.schema
    return Request(
        cell.model,
        messages_for(cell.prompt, row),
        tools=cell.prompt.tools or row.tools,
        response_format=None if schema is None else ResponseFormat(schema),
        sampling=sampling_of(cell.settings),
        adapter_hash=adapter_hash,
        priority=Priority.BATCH,
        prompt_version=cell.prompt.name if "@" in cell.prompt.name else "",
    )


def fill_grader(grader: Grader, row: SweepRow, output: str) -> Grader:
    """Return a grader with the row's fields filled in. Raises `InvalidRequest`."""
    values = values_of(row, output)
    return grader.filled(lambda text: render_template(text, values, f"grader {grader.name}"))


def check_row(sweep: Sweep, row: SweepRow, number: int) -> None:
    """Raises `InvalidRequest` that names row and variable if a prompt or a grader uses one that the
    row does not have."""
    known = known_names(row)
    for prompt in sweep.prompts:
        texts = [message.content for message in prompt.messages]
        if prompt.takes_conversation and not row.messages:
            texts.append(INPUT)
        _check(texts, known | set(prompt.defaults), row, number, f"prompt {prompt.name!r}")
    for grader in (*sweep.graders, *row.graders):
        _check(grader.texts(), known, row, number, f"grader {grader.name!r}")


def _check(texts: list[str], known: set[str], row: SweepRow, number: int, user: str) -> None:
    for text in texts:
        if "{" not in text:
            continue
        missing = [name for name in undeclared(text, user) if name not in known]
        if missing and not _renders(text, row, user):
            place = f"row {number}" + (f" (line {row.line})" if row.line != number else "")
            raise InvalidRequest(
                "rows",
                f"{place} has no {missing[0]!r}, which {user} uses; it has"
                f" {', '.join(row.variables) or 'no fields'}",
            )


def _renders(text: str, row: SweepRow, user: str) -> bool:
    """A template may ask whether it has a variable."""
    try:
        render_template(text, values_of(row), user)
    except InvalidRequest:
        return False
    return True
