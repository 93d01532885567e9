"""Answers with Markdown lists, tables and code, for a few fixed requests."""

from dataclasses import dataclass

from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.rows import CorpusRow, dialogue

LIST_TEMPLATES = (
    "List {}.",
    "Give me a list of {}.",
    "Make a list of {}.",
    "What are {}?",
    "Name {}.",
    "Can you list {}?",
    "Show me {}.",
    "Write a list of {}.",
    "Tell me {}.",
    "{} as a list",
    "Show me a list of {}.",
)
TABLE_TEMPLATES = (
    "Show me a table of {}.",
    "Make a table of {}.",
    "Give me a table of {}.",
    "Table of {}",
    "Write a table with {}.",
    "Can you make a table of {}?",
    "{} as a table",
    "Show {} in a table.",
    "I need a table of {}.",
    "Draw a table of {}.",
    "Create a table of {}.",
)
CODE_TEMPLATES = (
    "Write {} in Python.",
    "Show me {} in Python.",
    "Python code for {}",
    "How do I write {} in Python?",
    "Give me {} in Python.",
    "Can you write {} in Python?",
    "{} in python",
    "Write Python code for {}.",
    "Write a Python program for {}.",
    "Show me Python code for {}.",
    "I need {} in Python.",
)


@dataclass(frozen=True, slots=True)
class CannedAnswer:
    """A fixed Markdown answer, with the names it is requested under."""

    names: tuple[str, ...]
    answer: str


def _bullets(intro: str, items: str) -> str:
    return f"{intro}\n\n" + "\n".join(f"- {item}" for item in items.split(", "))


def _table(*lines: str) -> str:
    cells = [line.split(", ") for line in lines]
    rows = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _code(intro: str, code: str) -> str:
    return f"{intro}\n\n```python\n{code}\n```"


LISTS = (
    CannedAnswer(
        ("the planets", "all planets", "the eight planets", "the planets of the solar system"),
        _bullets("The planets:", "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune"),
    ),
    CannedAnswer(
        ("the days of the week", "the weekdays", "all days of the week"),
        _bullets(
            "The days of the week:",
            "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
        ),
    ),
    CannedAnswer(
        ("the seasons", "the four seasons", "all seasons"),
        _bullets("The seasons:", "Spring, Summer, Autumn, Winter"),
    ),
    CannedAnswer(
        ("the continents", "all continents", "the seven continents"),
        _bullets(
            "The continents:",
            "Africa, Antarctica, Asia, Australia, Europe, North America, South America",
        ),
    ),
    CannedAnswer(
        ("the oceans", "the five oceans", "all oceans"),
        _bullets("The oceans:", "Arctic, Atlantic, Indian, Pacific, Southern"),
    ),
    CannedAnswer(
        ("the colors of the rainbow", "the colours of the rainbow", "the rainbow colors"),
        _bullets("The colors of the rainbow:", "Red, Orange, Yellow, Green, Blue, Indigo, Violet"),
    ),
    CannedAnswer(
        ("the primary colors", "the primary colours", "the three primary colors"),
        _bullets("The primary colors:", "Red, Yellow, Blue"),
    ),
)
TABLES = (
    CannedAnswer(
        ("the planets", "all planets", "the eight planets", "the planets of the solar system"),
        _table(
            "Planet, Kind",
            *(f"{name}, rocky" for name in ("Mercury", "Venus", "Earth", "Mars")),
            *(f"{name}, gas giant" for name in ("Jupiter", "Saturn")),
            *(f"{name}, ice giant" for name in ("Uranus", "Neptune")),
        ),
    ),
    CannedAnswer(
        (
            "capitals",
            "some capitals",
            "European capitals",
            "countries and capitals",
            "the capitals",
        ),
        _table(
            "Country, Capital",
            "France, Paris",
            "Germany, Berlin",
            "Italy, Rome",
            "Spain, Madrid",
            "Portugal, Lisbon",
        ),
    ),
    CannedAnswer(
        ("animals", "animal sounds", "animals and their sounds", "some animals"),
        _table(
            "Animal, Sound", "Cat, meows", "Dog, barks", "Cow, moos", "Duck, quacks", "Lion, roars"
        ),
    ),
    CannedAnswer(
        ("greetings", "hello in four languages", "greetings in four languages"),
        _table(
            "Language, Greeting",
            "English, hello",
            "French, bonjour",
            "Spanish, hola",
            "German, hallo",
        ),
    ),
)
CODES = (
    CannedAnswer(
        ("hello world", "a hello world program", "a program that says hello world"),
        _code("Here it is:", 'print("Hello, world!")'),
    ),
    CannedAnswer(
        ("a function that adds two numbers", "an add function", "a sum of two numbers", "addition"),
        _code("This function adds two numbers:", "def add(a, b):\n    return a + b"),
    ),
    CannedAnswer(
        ("a loop", "a for loop", "a loop from 1 to 10", "a simple loop", "counting to ten"),
        _code("This loop counts to ten:", "for number in range(1, 11):\n    print(number)"),
    ),
    CannedAnswer(
        ("a function that says hello", "a greeting function", "a function that greets a person"),
        _code("This function greets a person:", 'def greet(name):\n    return f"Hello, {name}!"'),
    ),
    CannedAnswer(
        ("the factorial", "a factorial function", "a function for the factorial", "factorial"),
        _code(
            "This function computes the factorial:",
            "def factorial(n):\n    return 1 if n < 2 else n * factorial(n - 1)",
        ),
    ),
    CannedAnswer(
        ("reading a file", "a program that reads a file", "code that opens a file"),
        _code(
            "This reads a file:",
            'with open("file.txt") as file:\n    print(file.read())',
        ),
    ),
)
KINDS = ((LIST_TEMPLATES, LISTS), (TABLE_TEMPLATES, TABLES), (CODE_TEMPLATES, CODES))


def rich_row(draw: Draw) -> CorpusRow:
    """Draw a row answered by a list, a table or a piece of code."""
    return dialogue("chat.markdown", [rich(draw)])


def rich(draw: Draw) -> tuple[str, str]:
    """Draw a request for a list, a table or code, and its answer."""
    question = None
    while question is None:
        templates, requests = draw.pick(KINDS)
        request = draw.pick(requests)
        question = draw.fill(templates, request.names)
    return draw.casual(question), request.answer
