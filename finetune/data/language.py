"""Guesses the language of a row."""

SHORTEST_TEXT, LONGEST_TEXT = 20, 1000
"""Characters; a guess about less says nothing, and a longer text is guessed by its beginning."""
UNKNOWN = "?"


def language_of(text: str) -> str:
    """Return an ISO 639-1 code, as py3langid guesses it; `UNKNOWN` for too little text."""
    import py3langid  # loads its model: only where rows are read

    return (
        str(py3langid.classify(text[:LONGEST_TEXT])[0]) if len(text) >= SHORTEST_TEXT else UNKNOWN
    )
