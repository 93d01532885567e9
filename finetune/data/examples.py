"""One rendering: what a row is trained on is, token for token, what serving would show the model.

V7 puts the tools before the last user message, so a conversation does not contain its own earlier
prompts. A row is therefore trained as *views*, one for each answer: the prompt as serving renders
it, then the answer's own tokens, which alone are learned. Views that continue each other are one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from finetune.data.rows import Conversation, Fault, Preference, Text
from playground.errors import InvalidRequest
from playground.models.tokenizer import ChatTokenizer

MASKED = -100
"""The label that the loss leaves out (torch.nn.CrossEntropyLoss)."""


@dataclass(frozen=True, slots=True)
class View:
    """Token ids, and the same ids where they are learned, else `MASKED`."""

    token_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def trained(self) -> int:
        """How many tokens are learned."""
        return sum(label != MASKED for label in self.labels)


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference's token ids: the prompt as serving renders it, and the two answers."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def trained(self) -> int:
        """How many tokens are compared."""
        return len(self.chosen) + len(self.rejected)

    def views(self) -> tuple[View, View]:
        """The pair as two views, the preferred one first."""
        masked = tuple(MASKED for _ in self.prompt)
        chosen, rejected = (
            View((*self.prompt, *each), (*masked, *each)) for each in (self.chosen, self.rejected)
        )
        return chosen, rejected


def pair_of(preference: Preference, tokenizer: ChatTokenizer, longest: int, file: str = "") -> Pair:
    """A preference's pair. Raises `InvalidRow` for what the template refuses or is too long."""
    try:
        pair = Pair(
            tuple(tokenizer.render(preference.messages, preference.tools)),
            *(
                tuple(tokenizer.render_answer(each, preference.messages, preference.tools))
                for each in (preference.chosen, preference.rejected)
            ),
        )
    except InvalidRequest as error:
        raise InvalidRow(Fault(file, preference.line, error.field, error.problem)) from None
    length = len(pair.prompt) + max(len(pair.chosen), len(pair.rejected))
    if length > longest:
        problem = f"has {length:,} tokens; {longest:,} at most are trained"
        raise InvalidRow(Fault(file, preference.line, "prompt", problem))
    return pair


class InvalidRow(Exception):
    """A row that cannot be rendered; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def text_views(text: Text, tokenizer: ChatTokenizer, longest: int) -> list[View]:
    """Plain text, cut into views of at most ``longest`` tokens; every token is learned."""
    ids = (*tokenizer.encode(text.text), min(tokenizer.end_ids))
    cuts = [ids[at : at + longest] for at in range(0, len(ids), longest)]
    return [View(cut, cut) for cut in cuts if len(cut) > 1]


def views_of(
    conversation: Conversation, tokenizer: ChatTokenizer, longest: int, file: str = ""
) -> tuple[list[View], list[Fault]]:
    """A row's views; a fault for what the template refuses and for each view that is too long."""
    views: list[View] = []
    faults: list[Fault] = []
    try:
        for view in _joined(_each_answer(conversation, tokenizer)):
            if len(view.token_ids) <= longest:
                views.append(view)
            else:
                problem = f"has {len(view.token_ids):,} tokens; {longest:,} at most are trained"
                faults.append(Fault(file, conversation.line, "messages", problem))
    except InvalidRequest as error:
        return [], [Fault(file, conversation.line, error.field, error.problem)]
    return views, faults


def _each_answer(conversation: Conversation, tokenizer: ChatTokenizer) -> Iterator[View]:
    for at, message in enumerate(conversation.messages):
        if message.role == "assistant":
            prompt = tokenizer.render(conversation.messages[:at], conversation.tools)
            answer = tokenizer.render_answer(
                message, conversation.messages[:at], conversation.tools
            )
            labels = (*(MASKED for _ in prompt), *answer)
            yield View((*prompt, *answer), labels)


def _joined(views: Iterator[View]) -> Iterator[View]:
    """A view whose prompt is the one before, answer included, learns both answers."""
    held: View | None = None
    for view in views:
        if held and view.token_ids[: len(held.token_ids)] == held.token_ids:
            labels = (*held.labels, *view.labels[len(held.labels) :])
            held = View(view.token_ids, labels)
            continue
        if held:
            yield held
        held = view
    if held:
        yield held
