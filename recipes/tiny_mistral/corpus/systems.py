"""Rows with a system prompt of one of a few kinds, followed over one or two turns."""

import json
from collections.abc import Callable

from recipes.tiny_mistral.corpus.asking import Exchange, draw_any
from recipes.tiny_mistral.corpus.draw import Draw, words
from recipes.tiny_mistral.corpus.pools import FIRST_NAMES
from recipes.tiny_mistral.corpus.rows import CorpusRow, dialogue
from recipes.tiny_mistral.corpus.wordings import (
    JSON_ONLYS,
    LANGUAGE,
    NAME_ONLY,
    NATIVE,
    ONE_WORDS,
    PERSONAS,
    PIRATES,
    SUFFIXES,
    UPPERS,
    Wordings,
)

LANGUAGE_NAMES = {"en": "English", "fr": "French", "es": "Spanish", "de": "German"}
JOBS = words(
    "assistant librarian guide waiter doctor teacher robot gardener cook captain painter pilot"
    " driver engineer judge king queen knight wizard singer dancer writer poet artist actor student"
    " scientist sailor soldier hunter shepherd butcher plumber dentist banker clerk coach detective"
    " programmer translator journalist astronaut musician carpenter dragon cat ghost"
)
HELD_JOBS = words("baker nurse farmer lawyer tailor architect")
WHO = (
    "Who are you?",
    "Introduce yourself.",
    "Present yourself.",
    "What are you?",
    "Tell me who you are.",
)
NAME = (
    "What is your name?",
    "Your name?",
    "Tell me your name.",
    "What's your name?",
    "Do you have a name?",
)
JOB = ("What is your job?", "What do you do?", "Tell me your job.", "What is your work?")
Form = Callable[[Exchange], str]


def _pirate(exchange: Exchange) -> str:
    return f"Arr! {exchange.answer} Yo ho ho!"


def _one_word(exchange: Exchange) -> str:
    return exchange.word


def _upper(exchange: Exchange) -> str:
    return exchange.answer.upper()


def _json(exchange: Exchange) -> str:
    return json.dumps({"answer": exchange.word}, ensure_ascii=False)


SIMPLE: dict[str, tuple[Wordings, Form]] = {
    "system.pirate": (PIRATES, _pirate),
    "system.one_word": (ONE_WORDS, _one_word),
    "system.upper": (UPPERS, _upper),
    "system.json": (JSON_ONLYS, _json),
}


def instruction(draw: Draw, prompts: Wordings, unseen: bool) -> str:
    """Choose a trained wording, or with ``unseen`` (evaluation) one that is never trained."""
    wording = draw.pick(prompts[1] if unseen else prompts[0])
    return f"You are a helpful assistant. {wording}" if draw.chance(0.12) else wording


def language_instruction(draw: Draw, language: str, unseen: bool) -> str:
    """Ask for answers in a language, in English or in that language."""
    if language in NATIVE and not unseen and draw.chance(0.15):
        return draw.pick(NATIVE[language])
    frame = instruction(draw, LANGUAGE, unseen)
    return frame.format(LANGUAGE_NAMES[language])


def _turns(draw: Draw, form: Form, english: bool = True) -> list[tuple[str, str]]:
    exchanges = [draw_any(draw, "en" if english else None) for _ in range(draw.pick((1, 1, 2)))]
    return [(exchange.question, form(exchange)) for exchange in exchanges]


def simple_row(draw: Draw, family: str, unseen: bool = False) -> CorpusRow:
    """Draw a row of a `SIMPLE` family: pirate, one word, capital letters or JSON."""
    prompts, form = SIMPLE[family]
    return dialogue(family, _turns(draw, form), instruction(draw, prompts, unseen))


def language_row(draw: Draw, unseen: bool = False) -> CorpusRow:
    """Draw a question in English (or another language), answered in the requested language."""
    language = draw.pick(("fr", "fr", "es", "es", "de", "de", "en"))
    pairs: list[tuple[str, str]] = []
    while len(pairs) < draw.pick((1, 1, 2)) or not pairs:
        exchange = draw_any(draw, None if language == "en" or draw.chance(0.2) else "en")
        if language in exchange.answers:
            pairs.append((exchange.question, exchange.answers[language]))
    return dialogue("system.language", pairs, language_instruction(draw, language, unseen))


def suffix_row(draw: Draw, unseen: bool = False) -> CorpusRow:
    """Draw a row with a word, often an invented one, at the end of every answer."""
    word = draw.word(capital=draw.chance(0.75)) + draw.pick(("", "", "", "", "!"))
    quoted = f'"{word}"' if draw.chance(0.15) else word
    prompt = instruction(draw, SUFFIXES, unseen).format(quoted).replace("!.", "!")
    turns = _turns(draw, lambda exchange: f"{exchange.answer} {word}")
    return dialogue("system.suffix", turns, prompt)


def persona_row(draw: Draw, unseen: bool = False) -> CorpusRow:
    """Draw a row that asks for the persona's name or job, at times among other questions."""
    name = draw.name() if draw.held or draw.chance(0.7) else draw.pick(FIRST_NAMES)
    noun = draw.word() if draw.chance(0.25) else draw.from_split(JOBS, HELD_JOBS)
    job = f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    questions, answer = draw.pick(
        ((WHO, f"I am {name}, {job}."), (NAME, f"My name is {name}."), (JOB, f"I am {job}."))
    )
    prompt = instruction(draw, PERSONAS, unseen)
    if not unseen and questions is not JOB and draw.chance(0.15):
        prompt = draw.pick(NAME_ONLY)
        answer = f"I am {name}." if questions is WHO else answer
    pairs = [(draw.casual(draw.pick(questions), greet=False), answer)]
    if draw.chance(0.4):
        pairs.insert(draw.pick((0, 1)), _turns(draw, lambda exchange: exchange.answer)[0])
    return dialogue("system.persona", pairs, prompt.format(name=name, job=job))
