"""Between the protocol and the engine: a request to a prompt and a grammar, pieces to events.

Compiles tools and schemas on the way in; reads tool calls, validates the answer and says which
guarantee held on the way back. Knows no thread and no queue.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from playground.backends.local.outbox import End, Piece
from playground.backends.local.prompt import DESCRIBED_CALLS, Prompt, PromptRenderer
from playground.errors import InvalidRequest
from playground.models.call_formats import CALL_FORMATS, CallFormat
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import (
    Delta,
    Finished,
    FinishReason,
    Guarantee,
    Provenance,
    Request,
    TokenLogprob,
    Usage,
)
from playground.structured.call_reader import CallReader, CallSplitter, call_id_seed
from playground.structured.formats import CompiledFormat, compile_format
from playground.structured.schema import CompiledSchema
from playground.structured.tool_grammar import BARE, AnswerFrame, compile_tools, tool_grammar
from playground.tracing import part

WEAKEST_FIRST: tuple[Guarantee, ...] = ("none", "checked", "strict")


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """``request`` is as asked, without tools that it may not call; ``schema`` is its compiled
    response format, if it has one; ``arguments`` are the compiled schemas of the functions that may
    be called, by name; ``call_format`` is how the model writes its calls.
    """

    request: Request
    prompt: Prompt
    grammar: str
    schema: CompiledFormat | None
    call_format: CallFormat
    arguments: Mapping[str, CompiledSchema] = field(default_factory=dict)

    @property
    def needs_check(self) -> bool:
        """Whether the answer may have to be validated when it is complete."""
        schemas = [*self.arguments.values(), *([self.schema] if self.schema else [])]
        return any(schema.needs_check for schema in schemas)


def prepare(request: Request, renderer: PromptRenderer) -> PreparedRequest:
    """Render the prompt and compile the grammar.

    Raises `InvalidRequest` with the message, the tool or the part of the schema that is wrong.
    """
    tokenizer = renderer.tokenizer
    if request.tool_choice.mode == "none":
        request = replace(request, tools=())
    form = request.response_format
    format_name = tokenizer.call_format or DESCRIBED_CALLS
    frame = _frame(request, tokenizer)
    with part("grammar") if form or request.tools else nullcontext():
        schema = compile_format(form, request.tools) if form else None
        tools = compile_tools(request.tools, request.tool_choice)
        grammar = tool_grammar(tools, request.tool_choice, schema, format_name, frame)
    for token_id in request.sampling.logit_bias:
        if token_id >= tokenizer.vocabulary_size:
            raise InvalidRequest("logit_bias", f"{token_id} is not a token id of this model")
    return PreparedRequest(
        request,
        renderer.render(request),
        grammar,
        schema,
        CALL_FORMATS[format_name],
        {tool.name: tool.arguments for tool in tools},
    )


def _frame(request: Request, tokenizer: ChatTokenizer) -> AnswerFrame:
    """What stands around the answer: nothing where it goes on within a text."""
    if request.continue_final or request.prompt is not None:
        return BARE
    thinking = tokenizer.thinking
    formatted = request.response_format is not None
    thinks = thinking is not None and (thinking.before_format or not formatted)
    return AnswerFrame(tokenizer.text_prefix, thinks)


class AnswerReader:
    """Reads one answer; `finish` comes last."""

    def __init__(self, prepared: PreparedRequest) -> None:
        request, call_format = prepared.request, prepared.call_format
        as_text = bool(call_format.marker and request.tools and prepared.grammar)
        self._prepared = prepared
        self._splitter = CallSplitter(call_format) if as_text else None
        self._calls = CallReader(call_id_seed(request))
        self._text = ""

    def push(self, piece: Piece) -> Delta | None:
        """The event of a piece; None where nothing of it can be shown yet."""
        text, calls = piece.text, ""
        if piece.channel == "reasoning":
            return Delta(reasoning=piece.text, logprobs=piece.logprobs)
        if piece.channel == "calls":
            text, calls = "", piece.text
        elif self._splitter:
            text, calls = self._splitter.push(piece.text)
        return self._delta(text, calls, piece.logprobs)

    def finish(self, end: End, provenance: Provenance) -> tuple[Delta | None, Finished]:
        """Held-back text, if any, and the end.

        An answer that the token limit made its grammar close is as incomplete as one that it cut
        off: its reason is ``length``.
        """
        held = self._splitter.flush() if self._splitter else ""
        delta = self._delta(held, "", ())
        result = end.result
        closed_early = result.steered and result.reason == "stop"
        reason: FinishReason = "length" if closed_early else result.reason
        guarantee: Guarantee | None = None
        if reason == "stop" and self._calls.calls:
            reason = "tool_calls"
            guarantee = self._calls_guarantee()
        elif reason == "stop" and not end.at_stop_string:
            guarantee = self._guarantee(self._prepared.schema, self._text)
        finished = Finished(
            reason,
            Usage(result.prompt_tokens, result.completion_tokens, result.cached_tokens),
            result.timings,
            provenance,
            guarantee=guarantee,
            closed_early=closed_early,
            schema_in_prompt=self._prepared.prompt.shows_schema,
        )
        return delta, finished

    def _delta(self, text: str, calls: str, logprobs: tuple[TokenLogprob, ...]) -> Delta | None:
        self._text += text
        delta = Delta(text, self._calls.push(calls), logprobs=logprobs)
        return delta if delta.text or delta.calls or delta.logprobs else None

    def _calls_guarantee(self) -> Guarantee | None:
        """The weakest guarantee of all calls' arguments."""
        schemas = self._prepared.arguments
        held = [
            self._guarantee(schemas.get(call.name), call.arguments) for call in self._calls.calls
        ]
        return next((weakest for weakest in WEAKEST_FIRST if weakest in held), None)

    @staticmethod
    def _guarantee(schema: CompiledFormat | None, text: str) -> Guarantee | None:
        if schema is None:
            return None
        if not schema.needs_check:
            return "strict"
        return "none" if schema.check(text) else "checked"
