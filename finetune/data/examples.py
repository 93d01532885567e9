"""Training examples: the model is trained on exactly the tokens that serving would show it.

V7 puts the tools before the last user message, so a conversation does not contain its own earlier
prompts. A row therefore becomes *examples*, one for each answer: the prompt as serving renders it,
then the answer's own tokens, and the loss is over these alone. Examples that continue each other
are merged. Knows no maximum length: what is too long is left out when a data set is selected from.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from finetune.data.training_row import Conversation, PlainText, Preference, UnpairedPreference
from playground.models.tokenizer import ChatTokenizer

MASKED = -100
"""The label that the loss ignores (torch.nn.CrossEntropyLoss)."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """Token ids, and the same ids as labels where they are trained on, else `MASKED`."""

    token_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def num_trained_tokens(self) -> int:
        """How many tokens the loss is over."""
        return len(self.labels) - self.labels.count(MASKED)


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A preference's token ids: the prompt as serving renders it, and the two answers."""

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of the prompt with the longer answer."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))

    @property
    def num_trained_tokens(self) -> int:
        """How many tokens are compared."""
        return len(self.chosen) + len(self.rejected)

    def to_examples(self) -> tuple[TrainingExample, TrainingExample]:
        """The pair as two examples, the chosen one first."""
        masked = (MASKED,) * len(self.prompt)
        chosen, rejected = (
            TrainingExample((*self.prompt, *answer), (*masked, *answer))
            for answer in (self.chosen, self.rejected)
        )
        return chosen, rejected


@dataclass(frozen=True, slots=True)
class UnpairedExample:
    """An unpaired preference's token ids: the prompt as serving renders it, and its one answer."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    label: bool

    @property
    def length(self) -> int:
        """Tokens of prompt and answer."""
        return len(self.prompt) + len(self.completion)

    @property
    def num_trained_tokens(self) -> int:
        """How many tokens are made likelier or less likely."""
        return len(self.completion)

    def to_examples(self) -> tuple[TrainingExample]:
        """The same as a training example, whatever its label."""
        masked = (MASKED,) * len(self.prompt)
        ids = (*self.prompt, *self.completion)
        return (TrainingExample(ids, (*masked, *self.completion)),)


AnyExample = TrainingExample | PreferencePair | UnpairedExample
"""What a trainer sees of a row, whichever the method."""


def to_examples(conversation: Conversation, tokenizer: ChatTokenizer) -> list[TrainingExample]:
    """Return a conversation's examples. Raises `InvalidRequest` for what the template refuses."""
    return list(_merged(_for_each_answer(conversation, tokenizer)))


def to_preference_pair(preference: Preference, tokenizer: ChatTokenizer) -> PreferencePair:
    """Return a preference's pair. Raises `InvalidRequest` for what the template refuses."""
    prompt = tokenizer.render(preference.messages, preference.tools)
    chosen, rejected = (
        tokenizer.render_answer(answer, preference.messages, preference.tools)
        for answer in (preference.chosen, preference.rejected)
    )
    return PreferencePair(tuple(prompt), tuple(chosen), tuple(rejected))


def to_unpaired_example(row: UnpairedPreference, tokenizer: ChatTokenizer) -> UnpairedExample:
    """Return an unpaired preference's example. Raises `InvalidRequest` for what the template
    refuses."""
    prompt = tokenizer.render(row.messages, row.tools)
    completion = tokenizer.render_answer(row.completion, row.messages, row.tools)
    return UnpairedExample(tuple(prompt), tuple(completion), row.label)


def to_text_example(text: PlainText, tokenizer: ChatTokenizer) -> TrainingExample:
    """Return plain text as one example, however long; see `cut`."""
    token_ids = (*tokenizer.encode(text.text), min(tokenizer.end_ids))
    return TrainingExample(token_ids, token_ids)


def cut(example: TrainingExample, max_length: int) -> list[TrainingExample]:
    """Cut plain text into examples of at most ``max_length`` tokens; a single last token is left
    out, as it has no context."""
    return [
        TrainingExample(
            example.token_ids[start : start + max_length],
            example.labels[start : start + max_length],
        )
        for start in range(0, len(example.token_ids) - 1, max_length)
    ]


def cut_lengths(length: int, max_length: int) -> list[int]:
    """The lengths of the examples that `cut` gives of so many tokens."""
    return [min(max_length, length - start) for start in range(0, length - 1, max_length)]


def _for_each_answer(
    conversation: Conversation, tokenizer: ChatTokenizer
) -> Iterator[TrainingExample]:
    for place in conversation.answers:
        before = conversation.messages[:place]
        prompt = tokenizer.render(before, conversation.tools)
        answer = tokenizer.render_answer(conversation.messages[place], before, conversation.tools)
        labels = (*(MASKED,) * len(prompt), *answer)
        yield TrainingExample((*prompt, *answer), labels)


def _merged(examples: Iterator[TrainingExample]) -> Iterator[TrainingExample]:
    """An example whose prompt is the whole one before, answer included, trains both answers."""
    last: TrainingExample | None = None
    for example in examples:
        if last and example.token_ids[: len(last.token_ids)] == last.token_ids:
            labels = (*last.labels, *example.labels[len(last.labels) :])
            last = TrainingExample(example.token_ids, labels)
            continue
        if last:
            yield last
        last = example
    if last:
        yield last
