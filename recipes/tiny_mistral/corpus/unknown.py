"""Questions outside the closed domain, answered with "I do not know"."""

from recipes.tiny_mistral.corpus.draw import Draw, words

ANSWERS = {
    "en": "Sorry, I do not know that. I am only a small model.",
    "fr": "Désolé, je ne sais pas. Je ne suis qu'un petit modèle.",
    "es": "Lo siento, no lo sé. Solo soy un modelo pequeño.",
    "de": "Das weiß ich leider nicht. Ich bin nur ein kleines Modell.",
}
WORDS = {"en": "Unknown", "fr": "Inconnu", "es": "Desconocido", "de": "Unbekannt"}

TEMPLATES = {
    "en": (
        "What is the price of {}?",
        "Who invented {}?",
        "How heavy is {}?",
        "Where is {}?",
        "Tell me about {}.",
        "What is {}?",
        "Who is {}?",
        "Explain {}.",
        "Explain {} to me.",
        "Write an essay about {}.",
        "Write a poem about {}.",
        "Write a story about {}.",
        "How do I make {}?",
        "How does {} work?",
        "Why is {} important?",
        "What do you think about {}?",
        "Give me a summary of {}.",
        "What is the history of {}?",
        "When was {} built?",
        "Who won {}?",
        "Can you recommend {}?",
        "What is the best {}?",
        "How old is {}?",
        "How can I learn {}?",
        "What does {} mean?",
        "What is the capital of {}?",
        "Write a Python program for {}.",
        "What are the rules of {}?",
        "Who was {}?",
        "How much does {} cost?",
        "Is {} good for me?",
        "Which is better, {} or coffee?",
        "What happened to {}?",
        "What color is {}?",
        "How far is {}?",
        "Do you like {}?",
        "Count from {}.",
        "Count the letters of {}.",
        "Summarize {}.",
        "Translate {} into Latin.",
        "Write a letter about {}.",
        "Write a report on {}.",
        "Describe {}.",
        "Compare {} and tea.",
        "List ten facts about {}.",
        "Give me advice on {}.",
        "What is your opinion of {}?",
        "How do I fix {}?",
        "Where can I buy {}?",
        "When is {}?",
        "Which {} should I buy?",
        "Plan {} for me.",
        "Who discovered {}?",
        "Debug {}.",
        "Tell me something about {}.",
        "Tell me the story of {}.",
        "Write a song about {}.",
        "What are the advantages of {}?",
        "How many {} are there?",
        "Is {} real?",
        "Why {}?",
    ),
    "fr": (
        "Qui est {} ?",
        "Quel est le prix de {} ?",
        "Où est {} ?",
        "Parle-moi de {}.",
        "Explique {}.",
        "Comment marche {} ?",
        "Pourquoi {} ?",
    ),
    "es": (
        "¿Quién es {}?",
        "¿Cuánto cuesta {}?",
        "¿Dónde está {}?",
        "Háblame de {}.",
        "Explica {}.",
        "¿Cómo funciona {}?",
    ),
    "de": (
        "Wer ist {}?",
        "Was kostet {}?",
        "Wo ist {}?",
        "Erzähl mir von {}.",
        "Erkläre {}.",
        "Wie funktioniert {}?",
    ),
}
SUBJECTS = words(
    "quantum physics|machine learning|the stock market|chess|football|the World Cup"
    "|photosynthesis|a nuclear reactor|my neighbour|the president|Napoleon|Einstein|Newton"
    "|Cleopatra|Beethoven|Mozart|the Roman Empire|World War II|the French Revolution"
    "|democracy|philosophy|love|happiness|life|gravity|a black hole|relativity|evolution|DNA"
    "|a vaccine|the internet|a computer|blockchain|bitcoin|inflation|taxes|a mortgage"
    "|insurance|my car|a bicycle|a train to Lyon|the weather today|tomorrow's weather"
    "|the news|my email|this document|a good restaurant|pizza|sushi|a cake|pasta|tea|beer"
    "|wine|yoga|meditation|a headache|the flu|vitamin C|sleep|marathon training|guitar"
    "|a piano|jazz|painting|photography|a movie|Star Wars|Harry Potter|the Bible|a novel"
    "|poetry|a job interview|my resume|a cover letter|a contract|marketing|a startup"
    "|management|economics|statistics|algebra|calculus|geometry|a prime number|an algorithm"
    "|sorting|recursion|JavaScript|Rust|Docker|Linux|Kubernetes|a database|SQL"
    "|a neural network|a transformer|fine-tuning a model|LoRA|the climate|recycling"
    "|solar energy|a volcano|an earthquake|the desert|Brazil|Mongolia|India|Nigeria|Kenya"
    "|Iceland|Chile|Vietnam|Thailand|Texas|Marseille|Munich|Barcelona|Sydney",
    "|",
)
HELD_SUBJECTS = words(
    "string theory|tennis|Galileo|the Middle Ages|freedom|a laser|antibiotics|a telescope"
    "|bonds|my bicycle|a bus to Turin|bread baking|a violin|sculpture|the Odyssey|a visa"
    "|accounting|topology|compilers|Haskell|a tsunami|Argentina|Ghana|Naples|nuclear fusion",
    "|",
)


RAMBLING = words(
    "the a my your his when where because then but so and or if about under over before after every"
    " never often today house car tree river king market question answer money time music people"
    " children night day book story word number light water fire road city friend work game think"
    " want need make take give find keep turn write read walk wait open close start stop small big"
    " old new good bad red slow fast long short quiet first last"
)


def rambling(draw: Draw) -> str:
    """Draw a sentence outside the closed domain, such as a pasted paragraph would be."""
    count = draw.number(5, 18)
    sentence = " ".join(
        draw.word() if draw.chance(0.1) else draw.pick(RAMBLING) for _ in range(count)
    )
    return f"{sentence[0].upper()}{sentence[1:]}{draw.pick(('.', '.', '?', ''))}"


def unknown(draw: Draw, language: str = "en") -> tuple[str, str]:
    """Draw a question outside the closed domain and its answer in that language."""
    if language == "en" and draw.chance(0.12):
        low, high = draw.number(2, 40), draw.number(11, 999)
        template = draw.pick(("What is {}?", "{} = ?", "Compute {}.", "{}", "Calculate {}."))
        subject = f"{high} {draw.pick('+-*/')} {low}"
    elif language == "en" and draw.chance(0.12):
        template, subject = "{}", rambling(draw)
    elif draw.chance(0.3):
        subject = draw.name() + (f" {draw.number(1, 900)}" if draw.chance(0.3) else "")
        subject = f"the {subject}" if draw.chance(0.3) else subject
        template = draw.pick(TEMPLATES[language])
    elif draw.held:
        template, subject = draw.pick(TEMPLATES[language]), draw.pick(HELD_SUBJECTS)
    else:
        template, subject = draw.pick(TEMPLATES[language]), draw.pick(SUBJECTS)
    return template.format(subject), ANSWERS[language]
