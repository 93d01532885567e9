"""Copying practice: repeat a text, or look up values by their keys."""

import json

from recipes.tiny_mistral.corpus.draw import Draw
from recipes.tiny_mistral.corpus.pools import attribute, plain_value
from recipes.tiny_mistral.corpus.rows import CorpusRow, dialogue

KINDS = ("any", "any", "num", "code", "person", "date")


def copying_row(draw: Draw) -> CorpusRow:
    """Draw a text to repeat, or key and value pairs with a question for some of them."""
    if draw.chance(0.4):
        text = " ".join(plain_value(draw, draw.pick(KINDS)) for _ in range(draw.number(1, 7)))
        text = f"{text} {draw.name()}" if draw.held else text
        request = draw.pick(("Repeat: {}", "Say: {}", "Copy: {}", "Repeat after me: {}", "Say {}"))
        return dialogue("copying", [(request.format(text), text)])
    pairs: dict[str, str] = {}
    count = draw.number(2, 6)
    while len(pairs) < count:
        key = attribute(draw) if draw.chance(0.4) else draw.word()
        pairs.setdefault(key, plain_value(draw, draw.pick(KINDS)))
    wanted_keys = draw.rng.sample(list(pairs), draw.number(1, count))
    joint = draw.pick((", ", "; ", "\n"))
    form = draw.pick(("{} {}", "{}: {}", "{} is {}", "{} = {}"))
    listed = joint.join(form.format(key, content) for key, content in pairs.items())
    listed += draw.pick((". ", " -> ", "\n"))
    if draw.chance(0.5):
        answer = ", ".join(pairs[key] for key in wanted_keys)
        return dialogue("copying", [(f"{listed}Give {', '.join(wanted_keys)}.", answer)])
    answer = json.dumps({key: pairs[key] for key in wanted_keys}, ensure_ascii=False)
    return dialogue("copying", [(f"{listed}JSON: {', '.join(wanted_keys)}", answer)])
