"""Text on its way to a component that draws Markdown, so that all of it is seen.

Gradio's Markdown is drawn in the browser and keeps HTML: ``List<String>`` loses its end, and a
model could draw a form. So characters that must not be read as markup travel as stand-ins from a
private-use plane, which neither Markdown nor a sanitizer knows; ``assets/text.js`` puts the real
ones into the finished elements, into what is copied, and into boxes that edit. `spoken` is the
way back. Text that holds such stand-ins of its own would be shown with the real characters.
"""

import re
from collections.abc import Iterator
from typing import Final

PLANE: Final = 0xF0000
"""A stand-in is this plus the character's code; only ASCII has any."""
FORMULA: Final = 0xF0100
"""The same for the signs around a formula, which Gradio must find."""
BYLINE: Final = (chr(PLANE + 2), chr(PLANE + 3))
"""Stand-ins of STX and ETX, around a line over an answer that is no part of it."""
LATEX: Final = tuple(
    {
        "left": "".join(chr(FORMULA + ord(sign)) for sign in left),
        "right": "".join(chr(FORMULA + ord(sign)) for sign in right),
        "display": display,
    }
    for left, right, display in (
        ("$$", "$$", True),
        (r"\[", r"\]", True),
        (r"\(", r"\)", False),
        ("$", "$", False),
    )
)
"""The signs around formulas, for ``latex_delimiters``: Gradio looks for them in code, too, where
signs are left as they are."""

_STX_ETX = (2, 3)
_TYPED = {
    code: PLANE + code
    for code in range(128)
    if not chr(code).isalnum() and code not in _STX_ETX  # typed ones must not begin a byline
}
_MARKUP = re.compile(r"[<&]|!(?=\[)")
_TASK = re.compile(r"(?m)^(?P<before>\s*(?:[-*+]|\d+[.)])\s+)\[(?P<mark>[ xX])\](?P<after>(?=\s))")
_FOOTNOTE = re.compile(r"(?P<before>)\[(?P<mark>\^[^\]\s]+)\](?P<after>:?)")
"""Gradio 6.31 draws tasks without their ticks, and footnotes not at all; ``text.js`` does."""
_IN_DIAGRAM = re.compile(r"<(?=[a-zA-Z/!?])|&")
_INLINE = re.compile(
    r"(?P<code>(?<!`)(`+)(?!`).+?(?<!`)\2(?!`))"
    r"|(?P<math>\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)"
    # Pandoc's rule: "$5 and $6" is no formula.
    r"|(?<![\\$\w])\$(?=[^\s$])[^$\n]*?[^\s$\\]\$(?![\d$]))",
    re.DOTALL,
)
_FENCE = re.compile(r"(`{3,}|~{3,})([^`\n]*)$")
_SIGN = {code: FORMULA + code for code in range(128)}
_STAND_IN = re.compile(f"[{chr(PLANE)}-{chr(PLANE + 127)}{chr(FORMULA)}-{chr(FORMULA + 127)}]")
_BYLINE = re.compile(rf"\s*{BYLINE[0]}[^{BYLINE[1]}]*{BYLINE[1]}\s?\s?")


def as_typed(text: str) -> str:
    """Return text that is shown character by character, line breaks and spaces included."""
    return text.translate(_TYPED)


def as_markdown(text: str, byline: str = "") -> str:
    """Return text whose Markdown is drawn and whose HTML and images are shown as text.

    ``byline`` is shown above it.
    """
    shown = "".join(_blocks(text))
    return f"{BYLINE[0]}{as_typed(byline)}{BYLINE[1]}\n\n{shown}" if byline else shown


def spoken(text: str) -> str:
    """Return the text that was made ready to be shown, without its byline."""
    return _STAND_IN.sub(lambda match: chr(ord(match.group()) & 0x7F), _BYLINE.sub("", text))


def byline_of(text: str) -> str:
    """Return the byline of a text that was made ready to be shown, empty without one."""
    found = _BYLINE.match(text)
    return spoken(found.group().strip().strip("".join(BYLINE))) if found else ""


def _blocks(text: str) -> Iterator[str]:
    """Leave fenced code as it is, for the colours of its syntax; all else gets stand-ins."""
    fence = language = prose = ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if fence:
            closes = bare.startswith(fence) and not bare.strip(fence[0] + " \t")
            fence = "" if closes else fence
            yield _stand_ins(_IN_DIAGRAM, line) if language == "mermaid" and fence else line
        elif opened := _FENCE.match(bare):
            yield _prose(prose)
            fence, language, prose = opened[1], opened[2].strip(), ""
            yield _stand_ins(_MARKUP, line)
        else:
            prose += line
    yield _prose(prose)


def _prose(text: str) -> str:
    """Give markup outside of formulas stand-ins, and the signs around formulas."""
    parts, end = [], 0
    for found in _INLINE.finditer(text):
        parts.append(_plain(text[end : found.start()]))
        inner, end = found.group(), found.end()
        width = 1 if inner.startswith("$") and not inner.startswith("$$") else 2
        is_code = found["code"] is not None
        parts.append(
            _stand_ins(_MARKUP, inner)
            if is_code
            else inner[:width].translate(_SIGN)
            + inner[width:-width]
            + inner[-width:].translate(_SIGN)
        )
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    """Give markup stand-ins, and the brackets of tasks and footnotes."""
    for pattern in (_TASK, _FOOTNOTE):
        text = pattern.sub(_bracketed, text)
    return _stand_ins(_MARKUP, text)


def _bracketed(found: re.Match[str]) -> str:
    mark = f"{'['.translate(_SIGN)}{found['mark']}{']'.translate(_SIGN)}"
    return found["before"] + mark + found["after"].translate(_SIGN)


def _stand_ins(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: chr(PLANE + ord(match.group())), text)
