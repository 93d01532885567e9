"""Question templates by topic and language."""

QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "capital": {
        "en": (
            "What is the capital of {}?",
            "Capital of {}?",
            "Tell me the capital of {}.",
            "Which city is the capital of {}?",
            "Do you know the capital of {}?",
            "What's the capital of {}?",
            "What is the capital city of {}?",
            "Can you tell me the capital of {}?",
            "{}'s capital?",
            "What is {}'s capital?",
            "Name the capital of {}.",
            "I need the capital of {}.",
        ),
        "fr": (
            "Quelle est la capitale {} ?",
            "La capitale {} ?",
            "Dis-moi la capitale {}.",
            "Connais-tu la capitale {} ?",
            "Quelle ville est la capitale {} ?",
        ),
        "es": (
            "¿Cuál es la capital de {}?",
            "¿La capital de {}?",
            "Dime la capital de {}.",
            "¿Sabes la capital de {}?",
            "¿Qué ciudad es la capital de {}?",
        ),
        "de": (
            "Was ist die Hauptstadt {}?",
            "Die Hauptstadt {}?",
            "Wie heißt die Hauptstadt {}?",
            "Kennst du die Hauptstadt {}?",
            "Nenne mir die Hauptstadt {}.",
        ),
    },
    "colour": {
        "en": (
            "What color is {}?",
            "What colour is {}?",
            "Which color is {}?",
            "Tell me the color of {}.",
            "What is the color of {}?",
            "Color of {}?",
        ),
        "fr": (
            "De quelle couleur est {} ?",
            "Quelle couleur a {} ?",
            "{}, c'est de quelle couleur ?",
        ),
        "es": ("¿De qué color es {}?", "¿Qué color tiene {}?", "Dime de qué color es {}."),
        "de": (
            "Welche Farbe hat {}?",
            "Was für eine Farbe hat {}?",
            "Sag mir, welche Farbe {} hat.",
        ),
    },
    "sound": {
        "en": (
            "What sound does {} make?",
            "Which noise does {} make?",
            "What does {} do?",
            "What noise does {} make?",
            "Tell me the sound of {}.",
        ),
    },
    "translate": {
        "en": (
            "How do you say {}?",
            "Translate {}.",
            "What is {}?",
            "How do I say {}?",
            "Please translate {}.",
            "What's the word for {}?",
        ),
    },
    "after": {
        "en": ("What comes after {}?", "What is after {}?", "Which one follows {}?", "After {}?"),
        "fr": ("Qu'est-ce qui vient après {} ?", "Que vient-il après {} ?"),
        "es": ("¿Qué viene después de {}?", "¿Qué sigue a {}?"),
        "de": ("Was kommt nach {}?", "Was folgt auf {}?"),
    },
    "opposite": {
        "en": (
            "What is the opposite of {}?",
            "Opposite of {}?",
            "Tell me the opposite of {}.",
            "Give me the opposite of {}.",
            "What's the opposite of {}?",
        ),
        "fr": ("Quel est le contraire de {} ?", "Le contraire de {} ?"),
        "es": ("¿Cuál es el contrario de {}?", "¿El contrario de {}?"),
        "de": ("Was ist das Gegenteil von {}?", "Das Gegenteil von {}?"),
    },
    "count": {
        "en": (
            "How many {}?",
            "Tell me how many {}.",
            "Do you know how many {}?",
            "So how many {}?",
        ),
    },
    "general": {
        "en": (
            "{}?",
            "Tell me, {}?",
            "Do you know {}?",
            "I want to know {}.",
            "Can you tell me {}?",
        ),
    },
    "sum": {
        "en": (
            "What is {}?",
            "{} = ?",
            "Compute {}.",
            "{}",
            "How much is {}?",
            "Calculate {}.",
            "What's {}?",
            "{} equals?",
        ),
        "fr": ("Combien font {} ?", "Calcule {}."),
        "es": ("¿Cuánto es {}?", "Calcula {}."),
        "de": ("Was ist {}?", "Wie viel ist {}?"),
    },
}
