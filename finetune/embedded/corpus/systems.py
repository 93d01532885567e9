"""System prompts of a few kinds, obeyed over one or two turns."""

import json
from collections.abc import Callable

from finetune.embedded.corpus.asking import Exchange, draw_any
from finetune.embedded.corpus.draw import Draw, words
from finetune.embedded.corpus.pools import FIRST_NAMES
from finetune.embedded.corpus.rows import Row, dialogue

LANGUAGE_NAMES = {"en": "English", "fr": "French", "es": "Spanish", "de": "German"}
LANGUAGE_FRAMES = (
    "Answer in {}.",
    "Always answer in {}.",
    "Reply in {}.",
    "Always reply in {}.",
    "Write in {}.",
    "Always write in {}.",
    "Speak {}.",
    "You speak only {}.",
    "You only speak {}.",
    "Answer only in {}.",
    "Answer everything in {}.",
    "Reply in {}, please.",
    "You answer in {}.",
    "You must answer in {}.",
    "Use {} for every answer.",
    "Your answers are in {}.",
    "Whatever the question, answer in {}.",
    "You are an assistant who speaks {}.",
    "Please answer in {}.",
    "Use only {}.",
)
HELD_LANGUAGE_FRAMES = ("Please reply in {}.", "Respond in {}.", "{} only.", "Talk to me in {}.")
NATIVE = {
    "fr": ("Réponds en français.", "Réponds toujours en français.", "Tu parles français."),
    "es": ("Responde en español.", "Responde siempre en español.", "Hablas español."),
    "de": ("Antworte auf Deutsch.", "Antworte immer auf Deutsch.", "Du sprichst Deutsch."),
}
PIRATE = (
    (
        "Talk like a pirate.",
        "You are a pirate.",
        "Answer as a pirate.",
        "Speak like a pirate.",
        "You talk like a pirate.",
        "Act as a pirate.",
        "Use the language of pirates.",
        "Pretend to be a pirate.",
        "Be a pirate.",
        "You are a friendly pirate.",
        "Always answer like a pirate.",
    ),
    ("Reply as a pirate.", "Answer like a pirate.", "You are now a pirate."),
)
ONE_WORD = (
    (
        "Answer in one word.",
        "Use only one word.",
        "One-word answers only.",
        "Reply with a single word.",
        "Answer with one word.",
        "Always answer in one word.",
        "Give one-word answers.",
        "Use one word for every answer.",
        "Your answers have one word.",
        "Only one word per answer.",
        "Be brief: one word.",
        "Say one word only.",
        "You answer in one word.",
        "Use a single word to answer.",
    ),
    ("Just one word.", "Answer with a single word.", "Reply in one word only."),
)
UPPER = (
    (
        "Answer in capital letters.",
        "Write in uppercase.",
        "Use only capital letters.",
        "Answer in upper case.",
        "Always write in capital letters.",
        "ANSWER IN CAPITAL LETTERS.",
        "Use uppercase letters only.",
        "Reply in capitals.",
        "Your answers are in capital letters.",
        "Write every answer in capitals.",
        "All caps, please.",
        "Answer everything in uppercase letters.",
        "Always use upper case.",
        "You shout: use capital letters.",
    ),
    ("Reply in uppercase.", "Capital letters only.", "Write everything in capital letters."),
)
SUFFIX = (
    (
        "End every answer with {}.",
        "Always finish with {}.",
        "Put {} at the end of your answers.",
        "End your answers with {}.",
        "Close every answer with {}.",
        "Finish each answer with {}.",
        "Add {} to the end of every answer.",
        "Your answers end with {}.",
        "Say {} at the end of each answer.",
        "Append {} to every answer.",
        "Every answer ends with {}.",
        "Write {} after each answer.",
        "Always close with {}.",
    ),
    ("Finish every answer with {}.", "Always end with {}.", "The last word of each answer is {}."),
)
JSON_ONLY = (
    (
        "Answer only with JSON.",
        "Answer in JSON.",
        "Reply with JSON only.",
        "Always answer in JSON.",
        "Use JSON for every answer.",
        "Write your answers as JSON.",
        "You only speak JSON.",
        "Return JSON.",
        "Every answer is JSON.",
        "Reply in JSON format.",
        "Output JSON.",
        "Use only JSON.",
    ),
    ("Respond in JSON.", "Only JSON, please.", "Your answer must be JSON."),
)
PERSONA = (
    (
        "You are {name}, {job}.",
        "Your name is {name}. You are {job}.",
        "You are {name}, {job}, and you are friendly.",
        "You are called {name} and you are {job}.",
        "Your name is {name} and you work as {job}.",
        "Act as {name}, {job}.",
        "You are {job} named {name}.",
        "You are {job} called {name}.",
    ),
    ("Play {name}, {job}.", "You are {job} whose name is {name}.", "Pretend to be {name}, {job}."),
)
NAME_ONLY = ("You are {name}.", "Your name is {name}.", "You are called {name}.", "Act as {name}.")
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


SIMPLE: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], Form]] = {
    "system.pirate": (PIRATE, _pirate),
    "system.one_word": (ONE_WORD, _one_word),
    "system.upper": (UPPER, _upper),
    "system.json": (JSON_ONLY, _json),
}


def instruction(draw: Draw, prompts: tuple[tuple[str, ...], tuple[str, ...]], unseen: bool) -> str:
    """A wording the model was trained on, or, for evaluation, one it never saw."""
    wording = draw.pick(prompts[1] if unseen else prompts[0])
    return f"You are a helpful assistant. {wording}" if draw.chance(0.12) else wording


def language_instruction(draw: Draw, language: str, unseen: bool) -> str:
    """Asks for a language, in English or in that language."""
    if language in NATIVE and not unseen and draw.chance(0.15):
        return draw.pick(NATIVE[language])
    frame = instruction(draw, (LANGUAGE_FRAMES, HELD_LANGUAGE_FRAMES), unseen)
    return frame.format(LANGUAGE_NAMES[language])


def _turns(draw: Draw, form: Form, english: bool = True) -> list[tuple[str, str]]:
    exchanges = [draw_any(draw, "en" if english else None) for _ in range(draw.pick((1, 1, 2)))]
    return [(exchange.question, form(exchange)) for exchange in exchanges]


def simple_row(draw: Draw, family: str, unseen: bool = False) -> Row:
    """Pirate, one word, capital letters or JSON."""
    prompts, form = SIMPLE[family]
    return dialogue(family, _turns(draw, form), instruction(draw, prompts, unseen))


def language_row(draw: Draw, unseen: bool = False) -> Row:
    """The question in English (or any language), the answer in the language asked for."""
    language = draw.pick(("fr", "fr", "es", "es", "de", "de", "en"))
    pairs: list[tuple[str, str]] = []
    while len(pairs) < draw.pick((1, 1, 2)) or not pairs:
        exchange = draw_any(draw, None if language == "en" or draw.chance(0.2) else "en")
        if language in exchange.answers:
            pairs.append((exchange.question, exchange.answers[language]))
    return dialogue("system.language", pairs, language_instruction(draw, language, unseen))


def suffix_row(draw: Draw, unseen: bool = False) -> Row:
    """A word, often invented, at the end of every answer."""
    word = draw.word(capital=draw.chance(0.75)) + draw.pick(("", "", "", "", "!"))
    quoted = f'"{word}"' if draw.chance(0.15) else word
    prompt = instruction(draw, SUFFIX, unseen).format(quoted).replace("!.", "!")
    turns = _turns(draw, lambda exchange: f"{exchange.answer} {word}")
    return dialogue("system.suffix", turns, prompt)


def persona_row(draw: Draw, unseen: bool = False) -> Row:
    """A name and a job, asked for among other questions."""
    name = draw.name() if draw.held or draw.chance(0.7) else draw.pick(FIRST_NAMES)
    noun = draw.word() if draw.chance(0.25) else draw.own(JOBS, HELD_JOBS)
    job = f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    questions, answer = draw.pick(
        ((WHO, f"I am {name}, {job}."), (NAME, f"My name is {name}."), (JOB, f"I am {job}."))
    )
    prompt = instruction(draw, PERSONA, unseen)
    if not unseen and questions is not JOB and draw.chance(0.15):
        prompt = draw.pick(NAME_ONLY)
        answer = f"I am {name}." if questions is WHO else answer
    pairs = [(draw.casual(draw.pick(questions), greet=False), answer)]
    if draw.chance(0.4):
        pairs.insert(draw.pick((0, 1)), _turns(draw, lambda exchange: exchange.answer)[0])
    return dialogue("system.persona", pairs, prompt.format(name=name, job=job))
