"""Exchanges: facts, small talk and unanswerable questions, each with its answer."""

from dataclasses import dataclass

from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.greetings import LANGUAGES as TALK
from recipes.tiny_mistral.corpus.knowledge import LANGUAGES, facts
from recipes.tiny_mistral.corpus.questions import QUESTIONS
from recipes.tiny_mistral.corpus.smalltalk import say
from recipes.tiny_mistral.corpus.unknown import ANSWERS, WORDS, unknown

TOPIC_WEIGHTS = {
    "capital": 6,
    "colour": 3,
    "sound": 2,
    "translate": 3,
    "after": 3,
    "opposite": 2,
    "count": 2,
    "general": 4,
    "sum": 6,
}
# Greeting, how are you, thanks and goodbye, answered in one word.
TALK_WORDS = {
    "en": ("Hello", "Fine", "Welcome", "Goodbye"),
    "fr": ("Bonjour", "Bien", "Volontiers", "Adieu"),
    "es": ("Hola", "Bien", "Encantado", "Adiós"),
    "de": ("Hallo", "Gut", "Gern", "Tschüss"),
}
LANGUAGE_WEIGHTS = (6, 3, 3, 3)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, and its answer and one-word answer by language."""

    question: str
    language: str
    answers: dict[str, str]
    words: dict[str, str]

    @property
    def answer(self) -> str:
        """The answer in the question's language."""
        return self.answers[self.language]

    @property
    def word(self) -> str:
        """The answer in one word, in the question's language."""
        return self.words[self.language]


def draw_fact(draw: Draw, language: str | None = None, topic: str | None = None) -> Exchange:
    """Draw a fact of the closed domain with a question phrased for this split."""
    while True:
        chosen = topic or draw.rng.choices(list(TOPIC_WEIGHTS), list(TOPIC_WEIGHTS.values()))[0]
        lang = language or draw.rng.choices(LANGUAGES, LANGUAGE_WEIGHTS)[0]
        fact = draw.pick(facts()[chosen])
        if lang not in fact.fill or lang not in QUESTIONS[chosen]:
            continue
        fills = fact.spellings or (fact.fill[lang],)
        question = draw.fill(QUESTIONS[chosen][lang], fills)
        if question is None:
            continue
        return Exchange(draw.casual(question), lang, dict(fact.answer), dict(fact.word))


def draw_unknown(draw: Draw, language: str | None = None) -> Exchange:
    """Draw a question outside the closed domain, answered with "I do not know"."""
    lang = language or draw.rng.choices(LANGUAGES, LANGUAGE_WEIGHTS)[0]
    question, _ = unknown(draw, lang)
    return Exchange(draw.casual(question, greet=False), lang, dict(ANSWERS), dict(WORDS))


def draw_talk(draw: Draw, language: str = "en") -> Exchange:
    """Draw a greeting, a how-are-you, thanks or a goodbye, answerable in four languages."""
    step = draw.pick((0, 1, 2, 3))
    answers = {lang: TALK[lang][step].answer for lang in LANGUAGES}
    question, _ = say(draw, TALK[language][step])
    short = {lang: TALK_WORDS[lang][step] for lang in LANGUAGES}
    return Exchange(question, language, answers, short)


def draw_any(draw: Draw, language: str | None = None) -> Exchange:
    """Draw a fact, or at times small talk or a question outside the closed domain."""
    kind = draw.rng.random()
    if kind < 0.15:
        return draw_unknown(draw, language)
    if kind < 0.28:
        return draw_talk(draw, language or "en")
    return draw_fact(draw, language)
