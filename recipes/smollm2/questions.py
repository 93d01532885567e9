"""Plain questions of many kinds, as people type them, for chat without functions.

Some are written out in `own/questions.txt`, some are drawn here: tasks that are often asked, filled
with other words. Knows no answer and no model.
"""

import random
from pathlib import Path

LANGUAGES = ("Spanish", "French", "German", "Italian", "Portuguese", "Dutch")
PHRASES = (
    "good evening",
    "where is the train station?",
    "I would like a coffee, please",
    "thank you very much",
    "the weather is nice today",
    "my brother lives in a small town",
    "how much does this cost?",
    "see you tomorrow",
    "I am learning to cook",
    "happy birthday",
    "the book is on the table",
    "we are late",
)
PROGRAMS = (
    "checks whether a number is even",
    "returns the largest item of a list",
    "counts the vowels in a string",
    "reverses a string",
    "computes the factorial of n",
    "removes duplicates from a list",
    "checks whether a word is a palindrome",
    "converts Celsius to Fahrenheit",
    "sorts a list of names",
    "reads a file and prints its lines",
    "multiplies two numbers",
    "returns the sum of a list",
    "finds the longest word in a sentence",
    "returns the first n Fibonacci numbers",
    "subtracts one number from another",
    "prints the numbers from 1 to 10",
)
PROGRAM_FORMS = (
    "Write a Python function that {}.",
    "write a function in Python that {}",
    "Can you write a JavaScript function that {}?",
    "Show me code that {}.",
    "I need a small program which {}, in Python please",
    "Give me a Python function which {}",
)
SUBJECTS = (
    "autumn", "a lighthouse", "my grandmother's garden", "a lost key", "friendship",
    "a rainy Monday", "an old dog", "the first day of school", "a robot that is afraid of water",
    "the moon",
    "a bakery at night", "two brothers", "a train ride", "snow in the city",
)  # fmt: skip
WRITINGS = (
    "Write a short poem about {}.",
    "write two sentences about {}",
    "Write a very short story about {}.",
    "Give me a title for a story about {}.",
    "Can you write a haiku about {}?",
    "Describe {} in one paragraph.",
)
TERMS = (
    "osmosis", "a mortgage", "an algorithm", "jet lag", "a metaphor", "blood pressure",
    "a glacier", "supply and demand", "a firewall", "evolution", "compound interest",
    "a database", "an eclipse", "a function in mathematics", "a function in programming",
    "a variable", "a tool", "a hash table", "electricity", "the immune system", "a volcano",
    "a loop in Python", "the stock market", "sleep",
)  # fmt: skip
EXPLANATIONS = (
    "What is {}?",
    "explain {} in one sentence",
    "Explain {} to a child.",
    "what does {} mean",
    "Can you briefly explain {}?",
    "Why is {} important?",
)
SUMS = (
    "What is {} plus {}?",
    "how much is {} times {}",
    "What is {} minus {}?",
    "{} + {} = ?",
    "If I have {} apples and buy {} more, how many do I have?",
    "calculate {} * {}",
)
TRANSLATIONS = (
    'Translate "{}" into {}.',
    "how do you say '{}' in {}?",
    'Translate to {1}: "{0}"',
)


def written(file: Path) -> list[str]:
    """Read questions, one a line."""
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def drawn(rng: random.Random, each: int) -> list[str]:
    """Draw at most ``each`` different questions of each of five kinds."""
    questions = []
    for _ in range(each):
        phrase, language = rng.choice(PHRASES), rng.choice(LANGUAGES)
        questions += [
            rng.choice(PROGRAM_FORMS).format(rng.choice(PROGRAMS)),
            rng.choice(WRITINGS).format(rng.choice(SUBJECTS)),
            rng.choice(EXPLANATIONS).format(rng.choice(TERMS)),
            rng.choice(SUMS).format(rng.randint(2, 60), rng.randint(2, 30)),
            rng.choice(TRANSLATIONS).format(phrase, language),
        ]
    return list(dict.fromkeys(questions))
