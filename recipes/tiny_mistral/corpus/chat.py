"""Chat rows: facts in four languages, follow-ups, recall of earlier turns, "I do not know"."""

from recipes.tiny_mistral.corpus import rich, smalltalk
from recipes.tiny_mistral.corpus.asking import Exchange, draw_any, draw_fact, draw_unknown
from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.knowledge import facts
from recipes.tiny_mistral.corpus.pools import (
    FIRST_NAMES,
    HELD_STATED,
    STATED,
    attribute,
    plain_value,
)
from recipes.tiny_mistral.corpus.rows import CorpusRow, dialogue

PLAIN_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful and friendly assistant.",
    "You are an assistant.",
    "Be helpful.",
    "Answer the user's questions.",
)
FOLLOW_UPS = (
    "And {}?",
    "And of {}?",
    "What about {}?",
    "And what about {}?",
    "How about {}?",
    "and {}",
)
NAME_STATED = ("My name is {}.", "I am {}.", "Call me {}.", "Hi, I am {}", "I'm {}", "my name's {}")
NAME_ASKED = (
    "What is my name?",
    "Who am I?",
    "Do you remember my name?",
    "What's my name?",
    "Tell me my name.",
    "do you know my name",
    "Say my name.",
)


def _system(draw: Draw) -> str | None:
    return draw.pick(PLAIN_SYSTEMS) if draw.chance(0.2) else None


def _pair(exchange: Exchange) -> tuple[str, str]:
    return exchange.question, exchange.answer


def facts_row(draw: Draw) -> CorpusRow:
    """Draw one to three questions of the closed domain."""
    pairs = [_pair(draw_any(draw)) for _ in range(draw.pick((0, 0, 0, 1, 2)))]
    return dialogue("chat.facts", [*pairs, _pair(draw_fact(draw))], _system(draw))


def unknown_row(draw: Draw) -> CorpusRow:
    """Draw a question outside the closed domain, at times after one inside it."""
    pairs = [_pair(draw_any(draw))] if draw.chance(0.2) else []
    return dialogue("chat.unknown", [*pairs, _pair(draw_unknown(draw))], _system(draw))


def follow_up_row(draw: Draw) -> CorpusRow:
    """Draw a question followed by elliptical ones on the same topic."""
    topic = draw.pick(("capital", "colour", "opposite", "after"))
    first = draw_fact(draw, "en", topic)
    pairs = [_pair(first)]
    for _ in range(draw.pick((1, 1, 2))):
        fact = draw.pick(facts()[topic])
        template, fill = draw.pick(FOLLOW_UPS), fact.fill["en"]
        pairs.append((draw.casual(template.format(fill), greet=False), fact.answer["en"]))
    return dialogue("chat.follow_up", pairs)


def memory_row(draw: Draw) -> CorpusRow:
    """The user states a name or facts, talks about other things, then asks for them."""
    if not draw.held and draw.chance(0.07):
        pairs = [_pair(draw_any(draw, "en"))] if draw.chance(0.4) else []
        question = draw.casual(draw.pick(NAME_ASKED), greet=False)
        return dialogue("chat.memory", [*pairs, (question, "You have not told me your name.")])
    statements: list[tuple[str, str]] = []
    recalls: list[tuple[str, str]] = []
    if draw.chance(0.5):
        name = draw.name() if draw.held or draw.chance(0.6) else draw.pick(FIRST_NAMES)
        statements.append((draw.pick(NAME_STATED).format(name), f"Nice to meet you, {name}!"))
        recalls.append((draw.casual(draw.pick(NAME_ASKED), greet=False), f"Your name is {name}."))
    if not statements or draw.chance(0.4):
        statement, question, answer = _stated_fact(draw)
        statements.append((statement, "OK, noted."))
        recalls.append((question, answer))
    between = [_pair(draw_any(draw, "en")) for _ in range(draw.pick((0, 0, 1, 1, 2)))]
    draw.rng.shuffle(recalls)
    return dialogue("chat.memory", [*statements, *between, *recalls[: draw.pick((1, 2))]])


def conversation_row(draw: Draw) -> CorpusRow:
    """A visitor's first questions in one conversation: a greeting, who are you, facts, thanks."""
    pairs: list[tuple[str, str]] = []
    for _ in range(draw.pick((2, 2, 3, 4))):
        kind = draw.rng.random()
        if kind < 0.2:
            pairs.append(smalltalk.identity(draw))
        elif kind < 0.35:
            pairs.append(rich.rich(draw))
        elif kind < 0.5:
            pairs.append(smalltalk.greeting(draw))
        else:
            pairs.append(_pair(draw_any(draw)))
    return dialogue("chat.conversation", pairs, _system(draw))


def _stated_fact(draw: Draw) -> tuple[str, str, str]:
    """Return a statement, the question about it, and the answer that repeats it."""
    if draw.chance(0.45):
        kind, statement, question, answer = draw.pick(HELD_STATED if draw.held else STATED)
        value = plain_value(draw, kind)
        if draw.chance(0.3):
            statement = (
                f"Remember: {statement[0].lower()}{statement[1:]}"
                if statement[:2] != "I "
                else statement
            )
        return statement.format(value), draw.casual(question, greet=False), answer.format(value)
    what, owner, value = attribute(draw), draw.name(), plain_value(draw, "any")
    statement = draw.pick(
        (
            "The {w} of {o} is {v}.",
            "Remember: the {w} of {o} is {v}.",
            "Note that the {w} of {o} is {v}.",
        )
    )
    question = draw.pick(
        ("What is the {w} of {o}?", "Tell me the {w} of {o}.", "And the {w} of {o}?")
    )
    return (
        statement.format(w=what, o=owner, v=value),
        question.format(w=what, o=owner),
        f"The {what} of {owner} is {value}.",
    )
