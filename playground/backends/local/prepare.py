"""From a request to what the engine takes: a prompt in token ids and a grammar.

Knows tokenizers and grammars; knows no engine thread and no stream.
"""

from dataclasses import dataclass, replace

from playground.errors import InvalidRequest
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Request
from playground.structured.schema import CompiledSchema, compile_schema
from playground.structured.tool_grammar import tool_grammar


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """``request`` is as asked, without tools that it may not call; ``schema`` is its compiled
    response format, if it has one.
    """

    request: Request
    prompt: list[int]
    grammar: str
    schema: CompiledSchema | None


def prepare(request: Request, tokenizer: ChatTokenizer) -> PreparedRequest:
    """Render the prompt and compile the grammar.

    Raises `InvalidRequest` with the message, the tool or the part of the schema that is wrong.
    """
    if request.tool_choice.mode == "none":
        request = replace(request, tools=())
    form = request.response_format
    schema = compile_schema(form.schema) if form else None
    format_name = tokenizer.call_format or "mistral"
    grammar = tool_grammar(request.tools, request.tool_choice, schema, format_name)
    for token_id in request.sampling.logit_bias:
        if token_id >= tokenizer.vocabulary_size:
            raise InvalidRequest("logit_bias", f"{token_id} is not a token id of this model")
    return PreparedRequest(request, render(request, tokenizer), grammar, schema)


def render(request: Request, tokenizer: ChatTokenizer) -> list[int]:
    """The prompt as the model is given it, in token ids. Raises `InvalidRequest`."""
    if request.prompt is None:
        return tokenizer.render(
            request.messages, request.tools, continue_final=request.continue_final
        )
    if isinstance(request.prompt, str):
        return tokenizer.encode(request.prompt)
    for token_id in request.prompt:
        if not 0 <= token_id < tokenizer.vocabulary_size:
            raise InvalidRequest("prompt", f"{token_id} is not a token id of this model")
    return list(request.prompt)
