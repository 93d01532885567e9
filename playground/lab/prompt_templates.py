"""Renders the text of prompts in Jinja's sandbox, within limits of time and size.

A template is a text with variables, conditions, loops and filters; it is not a program. What is not
in `NODES`, `FILTERS` and `TESTS` is refused by name with its line when the prompt is written, and
every loop, filter and operation counts against a `Budget` while it is rendered. So nobody needs a
process to kill. Knows no prompt and no variable type.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from playground.errors import InvalidRequest

MAX_TEMPLATE_CHARACTERS = 256 * 1024
MAX_RENDERED_CHARACTERS = 4_000_000
MAX_STEPS = 100_000
"""Turns of loops in one rendering."""
TIME_LIMIT_S = 1.0
MAX_NUMBER = 10**18
BUDGET, LOOP, CONCAT = "__budget", "__loop", "__concat"
OPENING = re.compile(r"\{[{%#]")
CLOSING = {"{{": "}}", "{%": "%}", "{#": "#}"}
FILTERS = (
    "abs", "capitalize", "d", "default", "first", "float", "int", "join", "last", "length", "count",
    "list", "lower", "max", "min", "replace", "reverse", "round", "sort", "string", "title",
    "tojson", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
TESTS = (
    "defined", "undefined", "none", "string", "number", "integer", "float", "odd", "even", "in",
    "eq", "ne", "lt", "le", "gt", "ge", "equalto", "divisibleby", "lower", "upper", "true", "false",
)  # fmt: skip
NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If,
    nodes.CondExpr, nodes.For, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Concat, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Call,
)  # fmt: skip


class Budget:
    """What one rendering has left. Raises `TemplateError` when it is spent."""

    def __init__(self) -> None:
        self._until = time.monotonic() + TIME_LIMIT_S
        self._steps = 0

    def step(self) -> None:
        """Count one turn of a loop."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TemplateError(f"loops take more than {MAX_STEPS:,} turns")
        self.check(0)

    def check(self, characters: int) -> None:
        """Refuse a text of that many characters if it is too long, or if the time is up."""
        if characters > MAX_RENDERED_CHARACTERS:
            raise TemplateError(f"more than {MAX_RENDERED_CHARACTERS:,} characters")
        if time.monotonic() > self._until:
            raise TemplateError(f"takes longer than {TIME_LIMIT_S:g} s")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, whose operators are limited, too."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, cache_size=0)
        self.globals = {"range": self.globals["range"]}
        self.tests = {name: self.tests[name] for name in TESTS}
        known = self.filters
        self.filters = {name: _limited(name, known[name]) for name in FILTERS}
        self.filters |= {LOOP: _loop, CONCAT: _concat}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add texts and compute with numbers of a moderate size; nothing else."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            context[BUDGET].check(len(left) + len(right))
            return left + right
        for side in (left, right):
            if isinstance(side, bool) or not isinstance(side, int | float):
                kind = type(side).__name__
                raise TemplateError(f"'{operator}' takes numbers, not {kind}")
            if abs(side) > MAX_NUMBER:
                raise TemplateError(f"'{operator}' takes numbers up to {MAX_NUMBER:.0e}")
        if operator == "**" and abs(float(left) ** float(right)) > MAX_NUMBER:
            raise TemplateError(f"'**' gives numbers up to {MAX_NUMBER:.0e}")
        return super().call_binop(context, operator, left, right)


def undeclared(text: str, place: str) -> list[str]:
    """Return the variables that a template needs, in the order of their first use.

    Raises `InvalidRequest` at ``place``, with the line, for a template that cannot be rendered.
    """
    return list(_checked(text, place)[1])


def render_template(text: str, values: Mapping[str, object], place: str) -> str:
    """Render a template. Raises `InvalidRequest` at ``place`` if it fails or exceeds a limit."""
    template = _checked(text, place)[0]
    budget, pieces, size = Budget(), [], 0
    try:
        for piece in template.generate({**values, BUDGET: budget}):
            size += len(piece)
            budget.check(size)
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise InvalidRequest(place, f"cannot be rendered: {error}") from error
    except RecursionError as error:
        raise InvalidRequest(place, "cannot be rendered: nested too deep") from error
    return "".join(pieces)


def _checked(text: str, place: str) -> tuple[Any, tuple[str, ...]]:
    try:
        return _compiled(text)
    except TemplateSyntaxError as error:
        raise InvalidRequest(place, f"line {error.lineno}: {error.message}") from error
    except (RecursionError, SyntaxError, MemoryError, ValueError) as error:
        raise InvalidRequest(place, "the template is nested too deep") from error


@lru_cache(maxsize=1)
def _environment() -> TemplateEnvironment:
    return TemplateEnvironment()


@lru_cache(maxsize=512)
def _compiled(text: str) -> tuple[Any, tuple[str, ...]]:
    """The template, and the variables that it needs."""
    if len(text) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateSyntaxError(f"more than {MAX_TEMPLATE_CHARACTERS:,} characters", 1)
    environment = _environment()
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        raise _unclosed(text) or error from None
    free = meta.find_undeclared_variables(tree) - set(environment.globals)
    order = [node.name for node in tree.find_all(nodes.Name) if node.name in free]
    _guard(tree)
    return environment.from_string(tree), tuple(dict.fromkeys(order))


def _unclosed(text: str) -> TemplateSyntaxError | None:
    """The first mark without its end, before another begins or the text is over: what Jinja says
    of it is about the words behind it. In quotes a mark is text."""
    end = 0
    while opened := OPENING.search(text, end):
        mark, closing = opened[0], CLOSING[opened[0]]
        end = text.find(closing, opened.end())
        inside = text[opened.end() : end if end >= 0 else None]
        is_text = mark == "{#" or "'" in inside or '"' in inside
        if end < 0 or (not is_text and OPENING.search(inside)):
            line = text.count("\n", 0, opened.start()) + 1
            return TemplateSyntaxError(f"`{mark}` is not closed with `{closing}`", line)
    return None


def _guard(tree: nodes.Template) -> None:
    """Refuse what is no part of the language here; let loops and joined texts count."""
    for node in list(tree.find_all(nodes.Node)):
        if type(node) not in NODES:
            _refuse(node, f"'{type(node).__name__.lower()}' is not supported in prompts")
        if isinstance(node, nodes.Name) and node.name.startswith("_"):
            _refuse(node, f"{node.name!r}: a name begins with a letter")
        if isinstance(node, nodes.Call) and not (
            isinstance(node.node, nodes.Name) and node.node.name == "range"
        ):
            _refuse(node, "only range() is called; use a filter, such as {{ name|upper }}")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            _refuse(node, f"no filter {node.name!r}; there are {', '.join(FILTERS)}")
        if isinstance(node, nodes.Test) and node.name not in TESTS:
            _refuse(node, f"no test {node.name!r}; there are {', '.join(TESTS)}")
    for loop in list(tree.find_all(nodes.For)):
        if loop.recursive:
            _refuse(loop, "recursive loops are not supported in prompts")
        loop.iter = _filter(cast("nodes.Expr", loop.iter), LOOP)
    _join_counted(tree)


def _join_counted(node: nodes.Node) -> None:
    """Replace ``a ~ b`` below a node by a filter that counts."""
    for name, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, name, [_counted(each) for each in value])
        else:
            setattr(node, name, _counted(value))


def _counted(value: Any) -> Any:
    if not isinstance(value, nodes.Node):
        return value
    _join_counted(value)
    if isinstance(value, nodes.Concat):
        return _filter(nodes.List(value.nodes, lineno=value.lineno), CONCAT)
    return value


def _filter(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _refuse(node: nodes.Node, problem: str) -> None:
    raise TemplateSyntaxError(problem, node.lineno)


def _limited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of Jinja's that is checked before and after. Those that take the environment or the
    context get it as Jinja passes it."""
    wants = getattr(function, "jinja_pass_arg", None)
    wanted = getattr(wants, "name", "")

    @pass_context
    def limited(context: Context, value: Any, *args: Any, **options: Any) -> Any:
        budget = context[BUDGET]
        if name == "replace" and args and args[0] == "":
            raise TemplateError("replace: what is replaced is empty")
        if name == "replace" and len(args) > 1:
            budget.check(len(str(value)) + str(value).count(str(args[0])) * len(str(args[1])))
        if name == "join" and args:
            value = list(value)
            budget.check(len(value) * len(str(args[0])) + sum(len(str(each)) for each in value))
        if name == "tojson" and (args or options):
            raise TemplateError("tojson takes no arguments here")
        first = {"environment": context.environment, "eval_context": context.eval_ctx}
        before = (context,) if wanted == "context" else (first[wanted],) if wanted in first else ()
        result = function(*before, value, *args, **options)
        budget.check(len(result) if isinstance(result, str) else 0)
        return result

    return limited


@pass_context
def _loop(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    budget = context[BUDGET]
    for item in items:
        budget.step()
        yield item


@pass_context
def _concat(context: Context, items: list[Any]) -> str:
    texts = [str(item) for item in items]
    context[BUDGET].check(sum(map(len, texts)))
    return "".join(texts)
