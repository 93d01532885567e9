"""Text with variables, rendered in Jinja's sandbox: ``{{ city }}``. Knows no row and no prompt."""

from collections.abc import Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from playground.errors import InvalidRequest

MAX_TEMPLATE_CHARACTERS = 256 * 1024
MAX_RENDERED_CHARACTERS = 4_000_000


def undeclared(text: str, place: str) -> list[str]:
    """Return the variables that a template needs. Raises `InvalidRequest` at ``place``, with the
    line, for one that cannot be read."""
    return list(_checked(text, place)[1])


def render_template(text: str, values: Mapping[str, object], place: str) -> str:
    """Render a template. Raises `InvalidRequest` at ``place`` if it fails."""
    template = _checked(text, place)[0]
    pieces, size = [], 0
    try:
        for piece in template.generate(values):
            size += len(piece)
            if size > MAX_RENDERED_CHARACTERS:
                raise TemplateError(f"more than {MAX_RENDERED_CHARACTERS:,} characters")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise InvalidRequest(place, f"cannot be rendered: {error}") from error
    return "".join(pieces)


def _checked(text: str, place: str) -> tuple[Template, tuple[str, ...]]:
    if len(text) > MAX_TEMPLATE_CHARACTERS:
        raise InvalidRequest(place, f"more than {MAX_TEMPLATE_CHARACTERS:,} characters")
    try:
        return _compiled(text)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise InvalidRequest(place, f"line {line}: {error}" if line else str(error)) from error


@lru_cache(maxsize=512)
def _compiled(text: str) -> tuple[Template, tuple[str, ...]]:
    environment = _environment()
    names = meta.find_undeclared_variables(environment.parse(text))
    return environment.from_string(text), tuple(sorted(names - set(environment.globals)))


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
