"""Between the protocol and the engine: a request to a prompt and a grammar, pieces to events.

Renders messages and compiles tools and schemas on the way in; reads tool calls, validates the
answer and says which guarantee held on the way back. Knows no thread and no queue.
"""

from dataclasses import dataclass, replace

from playground.backends.local.outbox import End, Piece
from playground.errors import InvalidRequest, RequestFailed
from playground.models.call_formats import CALL_FORMATS, CallFormat
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import (
    Delta,
    Finished,
    FinishReason,
    Guarantee,
    Message,
    Provenance,
    Request,
    TokenLogprob,
    Usage,
)
from playground.structured.call_reader import CallReader, CallSplitter, call_id_seed
from playground.structured.formats import CompiledFormat, compile_format
from playground.structured.tool_grammar import tool_grammar


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """``request`` is as asked, without tools that it may not call; ``schema`` is its compiled
    response format, if it has one; ``call_format`` is how the model writes its calls.
    """

    request: Request
    prompt: list[int]
    grammar: str
    schema: CompiledFormat | None
    call_format: CallFormat


def prepare(request: Request, tokenizer: ChatTokenizer) -> PreparedRequest:
    """Render the prompt and compile the grammar.

    Raises `InvalidRequest` with the message, the tool or the part of the schema that is wrong.
    """
    if request.tool_choice.mode == "none":
        request = replace(request, tools=())
    form = request.response_format
    schema = compile_format(form, request.tools) if form else None
    format_name = tokenizer.call_format or "mistral"
    grammar = tool_grammar(request.tools, request.tool_choice, schema, format_name)
    for token_id in request.sampling.logit_bias:
        if token_id >= tokenizer.vocabulary_size:
            raise InvalidRequest("logit_bias", f"{token_id} is not a token id of this model")
    prompt = render(request, tokenizer)
    return PreparedRequest(request, prompt, grammar, schema, CALL_FORMATS[format_name])


def render(request: Request, tokenizer: ChatTokenizer) -> list[int]:
    """The prompt as the model is given it, in token ids. Raises `InvalidRequest`."""
    if request.prompt is None:
        return tokenizer.render(
            _without_empty_answers(request),
            request.tools,
            continue_final=request.continue_final,
            template_kwargs=request.template_kwargs,
        )
    if isinstance(request.prompt, str):
        return tokenizer.encode(request.prompt)
    for token_id in request.prompt:
        if not 0 <= token_id < tokenizer.vocabulary_size:
            raise InvalidRequest("prompt", f"{token_id} is not a token id of this model")
    return list(request.prompt)


def _without_empty_answers(request: Request) -> list[Message]:
    """Leave out answers without text and calls, which no template can render: a server hands them
    out where a stop string or the end token came first.
    """
    last = len(request.messages) - 1 if request.continue_final else -1
    return [
        message
        for place, message in enumerate(request.messages)
        if place == last or message.role != "assistant" or message.content or message.tool_calls
    ]


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
        if piece.channel == "calls":
            text, calls = "", piece.text
        elif self._splitter:
            text, calls = self._splitter.push(piece.text)
        return self._delta(text, calls, piece.logprobs)

    def finish(self, end: End, provenance: Provenance) -> tuple[Delta | None, Finished]:
        """Held-back text, if any, and the end.

        An answer that the token limit made its grammar close is as incomplete as one that it cut
        off: its reason is ``length``. Raises `RequestFailed` for a strict request whose answer
        breaks its schema.
        """
        held = self._splitter.flush() if self._splitter else ""
        delta = self._delta(held, "", ())
        result = end.result
        closed_early = result.steered and result.reason == "stop"
        reason: FinishReason = "length" if closed_early else result.reason
        guarantee: Guarantee | None = None
        if reason == "stop" and self._calls.calls:
            reason = "tool_calls"
        elif reason == "stop" and not end.at_stop_string:
            guarantee = self._guarantee()
        usage = Usage(result.prompt_tokens, result.completion_tokens, result.cached_tokens)
        finished = Finished(reason, usage, result.timings, provenance, guarantee, closed_early)
        return delta, finished

    def _delta(self, text: str, calls: str, logprobs: tuple[TokenLogprob, ...]) -> Delta | None:
        self._text += text
        delta = Delta(text, self._calls.push(calls), logprobs=logprobs)
        return delta if delta.text or delta.calls or delta.logprobs else None

    def _guarantee(self) -> Guarantee | None:
        schema, form = self._prepared.schema, self._prepared.request.response_format
        if schema is None or form is None:
            return None
        if not schema.needs_check:
            return "strict"
        problem = schema.check(self._text)
        if problem and form.strict:
            raise RequestFailed(f"the answer breaks its schema: {problem}")
        return "none" if problem else "checked"
