"""What an answer of another server is checked for here: its response format, its calls' arguments.

Whatever another server guarantees, here it counts as checked: only whoever decodes can say more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llguidance import LLMatcher, LLTokenizer

from playground.errors import RequestFailed
from playground.protocol import Guarantee, Request, ToolCall
from playground.structured.formats import CompiledPattern, compile_format
from playground.structured.schema import CompiledSchema
from playground.structured.tool_grammar import compile_tools

WEAKEST_FIRST: tuple[Guarantee, ...] = ("none", "checked", "strict")


@dataclass(frozen=True, slots=True)
class Expected:
    """The formats of one request, compiled. ``strict`` are what must be met: the names of
    functions, and "" for the answer.
    """

    form: CompiledSchema | CompiledPattern | None = None
    arguments: dict[str, CompiledSchema] = field(default_factory=dict)
    strict: frozenset[str] = frozenset()

    def of_answer(self, text: str) -> Guarantee | None:
        """How a whole answer meets its format. Raises `RequestFailed` for a broken strict one."""
        if self.form is None:
            return None
        problem = problem_of(self.form, text)
        if problem and "" in self.strict:
            raise RequestFailed(f"the answer breaks its schema: {problem}")
        return "none" if problem else "checked"

    def of_calls(self, calls: Sequence[ToolCall]) -> Guarantee | None:
        """The weakest guarantee of all calls. Raises `RequestFailed` for one of no such function,
        and where a strict function's arguments break their schema.
        """
        held = [self._of_call(call) for call in calls]
        return next((weakest for weakest in WEAKEST_FIRST if weakest in held), None)

    def _of_call(self, call: ToolCall) -> Guarantee:
        schema = self.arguments.get(call.name)
        if schema is None:
            known = ", ".join(self.arguments) or "none"
            raise RequestFailed(f"the model called {call.name!r}, which is none of: {known}")
        problem = schema.check(call.arguments)
        if problem and call.name in self.strict:
            raise RequestFailed(f"the arguments of {call.name} break their schema: {problem}")
        return "none" if problem else "checked"


def expected_of(request: Request) -> Expected:
    """Compile what the request asks for. Raises `InvalidRequest` for a wrong schema, tool or
    grammar.
    """
    form = request.response_format
    lenient = replace(form, strict=False) if form else None
    tools = request.tools if request.tool_choice.mode != "none" else ()
    callable_tools = compile_tools(
        [replace(tool, strict=False) for tool in tools], replace(request.tool_choice)
    )
    strict = {tool.name for tool in tools if tool.strict}
    if form and form.strict:
        strict.add("")
    return Expected(
        compile_format(lenient, tools) if lenient else None,
        {tool.name: tool.arguments for tool in callable_tools},
        frozenset(strict),
    )


def problem_of(form: CompiledSchema | CompiledPattern, text: str) -> str | None:
    """What is wrong with a whole answer, or None."""
    if isinstance(form, CompiledSchema):
        return form.check(text)
    matcher = LLMatcher(LLTokenizer("byte"), form.grammar, log_level=0)
    data = list(text.encode("utf-8"))
    taken = matcher.try_consume_tokens(data)
    if taken < len(data):
        return f"the format does not allow what begins at byte {taken}"
    return None if matcher.is_accepting() else "it ends before the format does"
