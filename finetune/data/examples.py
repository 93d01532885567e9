"""One rendering: what a row is trained on is, token for token, what serving would show the model.

V7 puts the tools before the last user message, so a conversation does not contain its own earlier
prompts. A row is therefore trained as *examples*, one for each answer: the prompt as serving renders
it, then the answer's own tokens, which alone are learned. Views that continue each other are one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from finetune.data.rows import Conversation, Preference, RowError, Text
from playground.errors import InvalidRequest
from playground.models.tokenizer import ChatTokenizer

MASKED = -100
"""The label that the loss leaves out (torch.nn.CrossEntropyLoss)."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """Token ids, and the same ids where they are learned, else `MASKED`."""

    token_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def trained(self) -> int:
        """How many tokens are learned."""
        return sum(label != MASKED for label in self.labels)


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A preference's token ids: the prompt as serving renders it, and the two answers."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def trained(self) -> int:
        """How many tokens are compared."""
        return len(self.chosen) + len(self.rejected)

    def examples(self) -> tuple[TrainingExample, TrainingExample]:
        """The pair as two examples, the preferred one first."""
        masked = tuple(MASKED for _ in self.prompt)
        chosen, rejected = (
            TrainingExample((*self.prompt, *each), (*masked, *each))
            for each in (self.chosen, self.rejected)
        )
        return chosen, rejected


def to_preference_pair(
    preference: Preference, tokenizer: ChatTokenizer, max_length: int, file: str = ""
) -> PreferencePair:
    """A preference's pair. Raises `InvalidRow` for what the template refuses or is too long."""
    try:
        pair = PreferencePair(
            tuple(tokenizer.render(preference.messages, preference.tools)),
            *(
                tuple(tokenizer.render_answer(each, preference.messages, preference.tools))
                for each in (preference.chosen, preference.rejected)
            ),
        )
    except InvalidRequest as error:
        raise InvalidRow(RowError(file, preference.line, error.field, error.problem)) from None
    length = len(pair.prompt) + max(len(pair.chosen), len(pair.rejected))
    if length > max_length:
        problem = f"has {length:,} tokens; {max_length:,} at most are trained"
        raise InvalidRow(RowError(file, preference.line, "prompt", problem))
    return pair


class InvalidRow(Exception):
    """A row that cannot be rendered; ``error`` says why."""

    def __init__(self, error: RowError) -> None:
        super().__init__(str(error))
        self.error = error


def text_to_examples(
    text: Text, tokenizer: ChatTokenizer, max_length: int
) -> list[TrainingExample]:
    """Plain text, cut into examples of at most ``max_length`` tokens; every token is learned."""
    ids = (*tokenizer.encode(text.text), min(tokenizer.end_ids))
    cuts = [ids[at : at + max_length] for at in range(0, len(ids), max_length)]
    return [TrainingExample(cut, cut) for cut in cuts if len(cut) > 1]


def to_examples(
    conversation: Conversation, tokenizer: ChatTokenizer, max_length: int, file: str = ""
) -> tuple[list[TrainingExample], list[RowError]]:
    """A row's examples; an error for what the template refuses and for each example that is too long."""
    examples: list[TrainingExample] = []
    errors: list[RowError] = []
    try:
        for example in _joined(_each_answer(conversation, tokenizer)):
            if len(example.token_ids) <= max_length:
                examples.append(example)
            else:
                problem = (
                    f"has {len(example.token_ids):,} tokens; {max_length:,} at most are trained"
                )
                errors.append(RowError(file, conversation.line, "messages", problem))
    except InvalidRequest as error:
        return [], [RowError(file, conversation.line, error.field, error.problem)]
    return examples, errors


def _each_answer(conversation: Conversation, tokenizer: ChatTokenizer) -> Iterator[TrainingExample]:
    for at, message in enumerate(conversation.messages):
        if message.role == "assistant":
            prompt = tokenizer.render(conversation.messages[:at], conversation.tools)
            answer = tokenizer.render_answer(
                message, conversation.messages[:at], conversation.tools
            )
            labels = (*(MASKED for _ in prompt), *answer)
            yield TrainingExample((*prompt, *answer), labels)


def _joined(examples: Iterator[TrainingExample]) -> Iterator[TrainingExample]:
    """A example whose prompt is the one before, answer included, learns both answers."""
    held: TrainingExample | None = None
    for example in examples:
        if held and example.token_ids[: len(held.token_ids)] == held.token_ids:
            labels = (*held.labels, *example.labels[len(held.labels) :])
            held = TrainingExample(example.token_ids, labels)
            continue
        if held:
            yield held
        held = example
    if held:
        yield held
