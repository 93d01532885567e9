"""Recognised preferences: a prompt and two answers, in the shapes that data sets have them.

TRL's, Together's, LLaMA-Factory's, SWIFT's; UltraFeedback's (whole conversations beside their
prompt), Orca's (question and system), Anthropic's HH (dialogues as text).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from finetune.data.fields import (
    Body,
    FormatError,
    Notes,
    Piece,
    messages_or_text,
    numbered,
    with_system,
)
from finetune.data.messages import Built, build, check_order
from finetune.data.tools import build_tools
from finetune.data.training_row import Preference
from playground.protocol import Message

HH_TURN = re.compile(r"\n\n(Human|Assistant):")


def trl_preference(record: Body, line: int, notes: Notes) -> Preference:
    """TRL's and UltraFeedback's: a prompt beside answers, or beside whole conversations."""
    prompt = with_system(record, messages_or_text(record, "prompt", "user"))
    return _preference(record, prompt, ("chosen", "rejected"), line, notes)


def question_preference(record: Body, line: int, notes: Notes) -> Preference:
    """Orca's."""
    prompt = with_system(record, messages_or_text(record, "question", "user"))
    return _preference(record, prompt, ("chosen", "rejected"), line, notes)


def messages_preference(record: Body, line: int, notes: Notes) -> Preference:
    """A conversation beside two answers to it; its own last answer is the chosen one again."""
    prompt = with_system(record, numbered(record, "messages"))
    return _preference(record, prompt, ("chosen", "rejected"), line, notes)


def swift_preference(record: Body, line: int, notes: Notes) -> Preference:
    """SWIFT's: the last message of the conversation is the chosen answer."""
    names = ("messages", "rejected_response")
    if record.get("rejected_response") is None:
        return _preference(record, [], ("messages", "rejected_messages"), line, notes)
    messages = numbered(record, "messages")
    answer = {**record, "messages": [messages[-1][1]]}
    return _preference(answer, with_system(record, messages[:-1]), names, line, notes)


def implicit_preference(record: Body, line: int, notes: Notes) -> Preference:
    """Chosen and rejected conversations that begin alike: TRL's, or HH's as text."""
    body = dict(record)
    for name in ("chosen", "rejected"):
        value = record[name]
        if isinstance(value, str):
            turns = _hh_turns(value)
            if len(turns) < 2:
                raise FormatError(name, "is text without its question; add the field prompt")
            body[name] = turns
    return _preference(body, [], ("chosen", "rejected"), line, notes)


def _hh_turns(text: str) -> list[dict[str, str]]:
    _, *parts = HH_TURN.split(text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[name], "content": said.strip()}
        for name, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def together_preference(record: Body, line: int, notes: Notes) -> Preference:
    """Together's."""
    body = record["input"]
    if not isinstance(body, Mapping):
        raise FormatError("input", "must be an object with messages")
    if "messages" not in body:
        raise FormatError("input.messages", "is missing")
    notes.unused(body, ("messages", "tools", "parallel_tool_calls"), "input.")
    prompt = [(f"input.{place}", each) for place, each in numbered(body, "messages")]
    with_tools = {**record, "tools": body.get("tools", record.get("tools"))}
    names = ("preferred_output", "non_preferred_output")
    return _preference(with_tools, with_system(record, prompt), names, line, notes)


def sharegpt_preference(record: Body, line: int, notes: Notes) -> Preference:
    """LLaMA-Factory's, in ShareGPT's turns."""
    prompt = with_system(record, numbered(record, "conversations"))
    return _preference(record, prompt, ("chosen", "rejected"), line, notes)


def alpaca_preference(record: Body, line: int, notes: Notes) -> Preference:
    """LLaMA-Factory's, in Alpaca's fields."""
    prompt = with_system(record, alpaca_prompt(record))
    return _preference(record, prompt, ("chosen", "rejected"), line, notes)


def alpaca_prompt(record: Body) -> list[Piece]:
    """Return Alpaca's history, and its instruction with the input below it."""
    instruction, details = record["instruction"], record.get("input") or ""
    if not isinstance(instruction, str):
        raise FormatError("instruction", "must be text")
    if not isinstance(details, str):
        raise FormatError("input", "must be text")
    history = record.get("history") or []
    if not isinstance(history, list):
        raise FormatError("history", "must be a list of pairs")
    pieces: list[Piece] = []
    for at, pair in enumerate(history):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise FormatError(f"history[{at}]", "must be a question and its answer")
        for n, role in enumerate(("user", "assistant")):
            pieces.append((f"history[{at}][{n}]", {"role": role, "content": pair[n]}))
    question = "\n\n".join(text for text in (instruction, details) if text)
    return [*pieces, ("instruction", {"role": "user", "content": question})]


def _preference(
    record: Body, prompt: Sequence[Piece], names: tuple[str, str], line: int, notes: Notes
) -> Preference:
    """Put prompt and answers together; whole conversations give up what they begin alike with."""
    chosen, rejected = (messages_or_text(record, name, "assistant") for name in names)
    begin = _common_beginning(chosen, rejected, names[1])
    answers = [_answer(pieces[-1:], name, notes) for pieces, name in
               zip((chosen, rejected), names, strict=True)]  # fmt: skip
    if _stripped(answers[0]) == _stripped(answers[1]):
        raise FormatError(names[1], f"is the same as {names[0]}, so nothing is preferred")
    if begin:
        prompt = _joined(record, prompt, begin)
    built = build(prompt, notes)
    if not built.messages:
        raise FormatError(names[0], "has no question before its answer; add the field prompt")
    messages = built.messages
    if len(messages) > 1 and messages[-1] == answers[0]:
        messages = messages[:-1]
    place = "prompt" if "prompt" in record else built.places[0]
    if messages[-1].role == "assistant":
        raise FormatError(place, "ends with an assistant message; it must end before the answer")
    if not any(message.role in ("user", "tool") for message in messages):
        raise FormatError(place, "has no question")
    every = tuple(range(len(messages)))  # no answer of a prompt is trained
    check_order(Built(messages, every, built.places[: len(messages)]))
    return Preference(messages, answers[0], answers[1], build_tools(record, notes), line)


def _answer(pieces: Sequence[Piece], name: str, notes: Notes) -> Message:
    built = build(pieces, notes)
    if len(built.messages) != 1 or built.messages[0].role != "assistant":
        raise FormatError(name, "must end with an assistant message")
    if built.masked:
        notes.add(name, "has a weight of 0, which is not used in preferences")
    return built.messages[0]


def _stripped(message: Message) -> Message:
    return replace(message, content=message.content.strip())


def _common_beginning(chosen: Sequence[Piece], rejected: Sequence[Piece], name: str) -> list[Piece]:
    """Return all but the last message of two conversations, which must be the same in both."""
    begin = list(chosen[:-1])
    if not begin and len(rejected) == 1:
        return []
    if [body for _, body in begin] != [body for _, body in rejected[:-1]]:
        problem = "must be the chosen conversation but for its last message"
        raise FormatError(name, problem)
    return begin


def _joined(record: Body, prompt: Sequence[Piece], begin: Sequence[Piece]) -> list[Piece]:
    """Join a prompt and the messages that both conversations begin with, which may repeat it."""
    silent = Notes()
    given, repeated = build(prompt, silent).messages, build(begin, silent).messages
    if not given:
        return with_system(record, begin)
    if repeated[0].role == "assistant":
        return [*prompt, *begin]
    if given[-1].role == "assistant":  # the conversation whole, as UltraFeedback's messages
        given = given[:-1]
    has_system = repeated[0].role == "system"
    without_system = tuple(each for each in given if each.role != "system")
    if not _contains(repeated, given if has_system else without_system):
        raise FormatError("chosen", f"does not begin with {prompt[-1][0]}")
    system = [] if has_system else [piece for piece, message in
              zip(prompt, given, strict=False) if message.role == "system"]  # fmt: skip
    return [*system, *begin]


def _contains(messages: Sequence[Message], part: Sequence[Message]) -> bool:
    starts = range(len(messages) - len(part) + 1)
    return any(tuple(messages[at : at + len(part)]) == tuple(part) for at in starts)
