"""Wordings of system prompts for training and for evaluation.

Most are composed of pieces, so that the model learns the pieces and not a list of sentences. A
held-out wording is a sentence that is never trained, made of words that are.
"""

from itertools import product

Wordings = tuple[tuple[str, ...], tuple[str, ...]]
"""Trained, held out."""


def composed(*parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return every sentence that takes one piece from each part, in order."""
    sentences = ("".join(pieces) for pieces in product(*parts))
    return tuple(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _widened(prompts: Wordings, more: tuple[str, ...]) -> Wordings:
    """Add training wordings, without those that are held out."""
    train, held = prompts
    kept = (wording for wording in (*train, *more) if wording not in held)
    return tuple(dict.fromkeys(kept)), held


LANGUAGE_FRAMES: tuple[str, ...] = (
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
LANGUAGE_FRAMES += composed(
    ("", "Always ", "Please ", "Only ", "From now on ", "You must ", "You always "),
    ("answer", "reply", "respond", "write", "speak", "answer me", "write to me", "speak to me"),
    (" in {}.", " only in {}.", " in {} only.", " using {}.", " in {}, please."),
)
LANGUAGE_FRAMES += (
    *("Only {}.", "{}, please.", "Just {}.", "{} answers only.", "Talk {} to me.", "In {}."),
    *("Talk in {}.", "The user speaks {}.", "Your language is {}.", "All answers in {}."),
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
ONE_WORD_MORE = composed(
    ("", "Always ", "Please ", "You must ", "You always ", "Whatever the question, "),
    ("answer", "reply", "respond", "speak"),
    (" in one word.", " with one word.", " in a single word.", " using one word.", " in 1 word."),
)
ONE_WORD_MORE += (
    *("One word.", "One word, please.", "Only one word.", "A single word.", "Single-word answers."),
    *("Keep it to one word.", "No more than one word.", "Reply in one word and no more."),
    *("Just a single word.", "Just one word for each answer.", "One word is enough."),
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
PERSONA_MORE = composed(
    (
        *("You are ", "From now on you are ", "Imagine you are ", "Imagine that you are "),
        *("Pretend you are ", "Pretend that you are "),
    ),
    ("{name}, {job}.", "{job} named {name}.", "{job} called {name}.", "{name}, who is {job}."),
)
PERSONA_MORE += composed(
    ("Act as ", "Play the part of ", "Behave as ", "Speak as ", "Answer as ", "Take the role of "),
    (
        "{name}, {job}.",
        "{job} named {name}.",
        "{job} called {name}.",
        "{job} whose name is {name}.",
    ),
)
PERSONA_MORE += composed(
    ("Pretend to be ", "Play "), ("{job} named {name}.", "{job} called {name}.")
)
PERSONA_MORE += composed(
    ("Your name is {name}", "You are called {name}", "People call you {name}", "You are {name}"),
    (". You are {job}.", " and you are {job}.", " and you work as {job}.", ". You work as {job}."),
)
PIRATE_MORE = composed(
    ("", "Always ", "Please ", "You must ", "From now on "),
    ("talk", "speak", "answer", "reply", "respond", "write", "act", "sound"),
    (" like a pirate.", " as a pirate.", " as pirates do.", " like pirates.", " in pirate."),
)
PIRATE_MORE += (
    "Pretend you are a pirate.",
    "You are a pirate now.",
    "Pirate style.",
    "Imagine a pirate.",
)
UPPER_MORE = composed(
    ("", "Always ", "Please ", "You must ", "Only "),
    ("answer", "reply", "respond", "write", "speak"),
    (
        *(" in capital letters.", " in capitals.", " in upper case.", " in uppercase."),
        *(" in uppercase letters.", " with capital letters.", " in all caps.", " all in caps."),
    ),
)
UPPER_MORE += (
    *("Capitals only.", "Only capital letters.", "Uppercase only.", "Upper case only."),
    *("Write everything in capitals.", "Write all in capital letters.", "ALL CAPS."),
    *("Everything in capital letters.", "Uppercase letters only.", "SHOUT IN CAPITALS."),
)
JSON_MORE = composed(
    ("", "Always ", "Please ", "You must ", "Only "),
    ("answer", "reply", "respond", "write", "speak"),
    (
        *(" in JSON.", " with JSON.", " as JSON.", " in JSON only.", " only in JSON."),
        *(" with JSON only.", " in JSON format.", " using JSON."),
    ),
)
JSON_MORE += (
    *("JSON only.", "Only JSON.", "JSON, please.", "JSON answers only.", "Give me JSON."),
    *("Your answers must be JSON.", "Your reply must be JSON.", "Each answer must be JSON."),
)
PARTS = ("every answer", "each answer", "your answers", "all answers", "every reply", "each reply")
SUFFIX_MORE = (
    *composed(
        ("", "Always ", "Please ", "You must "),
        ("end ", "finish ", "close ", "conclude "),
        PARTS,
        (" with {}.", " with the word {}."),
    ),
    *composed(
        ("", "Always ", "Please "),
        ("put {}", "add {}", "append {}", "write {}", "say {}", "put the word {}"),
        (" at the end of ", " after "),
        PARTS,
        (".",),
    ),
    *composed(("The last word of ", "The end of "), PARTS, (" must be {}.",)),
    *composed(("The last word of ",), (*PARTS[2:], "your replies"), (" is {}.",)),
    *composed(("Your answers ", "Your replies "), ("end", "finish", "close"), (" with {}.",)),
    *("Always end on {}.", "Always finish by saying {}.", "{} ends every answer.", "End with {}."),
)

LANGUAGE: Wordings = _widened((LANGUAGE_FRAMES, HELD_LANGUAGE_FRAMES), ())
PERSONAS: Wordings = _widened(PERSONA, PERSONA_MORE)
SUFFIXES: Wordings = _widened(SUFFIX, SUFFIX_MORE)
PIRATES: Wordings = _widened(PIRATE, PIRATE_MORE)
ONE_WORDS: Wordings = _widened(ONE_WORD, ONE_WORD_MORE)
UPPERS: Wordings = _widened(UPPER, UPPER_MORE)
JSON_ONLYS: Wordings = _widened(JSON_ONLY, JSON_MORE)
