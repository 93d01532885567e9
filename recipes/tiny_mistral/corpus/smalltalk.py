"""Rows of small talk, and of questions about the model itself."""

from recipes.tiny_mistral.corpus.about import ABOUT
from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.greetings import LANGUAGES
from recipes.tiny_mistral.corpus.intents import Intent
from recipes.tiny_mistral.corpus.rows import CorpusRow, dialogue

WHO, GREET, HOW, THANKS, BYE = 4, 0, 1, 2, 3
HELPFUL = (
    "You are a helpful assistant.",
    "You are a helpful and friendly assistant.",
    "Be helpful.",
)
_WEIGHTS = {"en": 10, "fr": 3, "es": 3, "de": 3}


def say(draw: Draw, intent: Intent, greet: bool = False) -> tuple[str, str]:
    """Draw a phrasing of this intent as people type it, and its answer."""
    return draw.casual(draw.from_split(intent.train, intent.held), greet), intent.answer


def identity(draw: Draw) -> tuple[str, str]:
    """Draw a question about the model: who it is, what it can do, and the like."""
    intent = LANGUAGES["en"][WHO] if draw.chance(0.22) else draw.pick(ABOUT)
    return say(draw, intent, greet=True)


def greeting(draw: Draw) -> tuple[str, str]:
    """Draw one exchange of small talk in one of the languages."""
    return say(draw, draw.pick(_language(draw)[: THANKS + 2]))


def identity_row(draw: Draw) -> CorpusRow:
    """Draw a row with one question about the model."""
    system = draw.pick(HELPFUL) if draw.chance(0.15) else None
    return dialogue("chat.identity", [identity(draw)], system)


def greetings_row(draw: Draw) -> CorpusRow:
    """Draw one to three exchanges of small talk in one language."""
    intents = _language(draw)
    steps = draw.pick(
        ((GREET,), (HOW,), (THANKS,), (BYE,), (WHO,), (GREET, HOW), (GREET, WHO, THANKS))
    )
    system = draw.pick(HELPFUL) if draw.chance(0.15) else None
    return dialogue("chat.greetings", [say(draw, intents[step]) for step in steps], system)


def _language(draw: Draw) -> tuple[Intent, ...]:
    weights = [_WEIGHTS.get(code, 2) for code in LANGUAGES]
    return LANGUAGES[draw.rng.choices(list(LANGUAGES), weights)[0]]
