"""Ask the server that has the tokenizer for a prompt's tokens, or how many they are."""

from playground.backends.openai_compatible.body import message_body, tool_body
from playground.backends.openai_compatible.wire import Wire
from playground.errors import BackendUnavailable, InvalidRequest
from playground.protocol import Request
from playground.protocol.json_types import JsonObject, list_at, text_at

NO_SUCH_PATH = 404


async def prompt_tokens(wire: Wire, request: Request, model: str) -> int:
    """Tokens of the request's prompt. Raises `InvalidRequest` where the server does not count."""
    answer = await _tokenized(wire, request, model, "count a prompt's tokens")
    if isinstance(answer, int):
        return answer
    count = answer.get("count", len(list_at(answer, "tokens")))
    if not isinstance(count, int):
        raise BackendUnavailable(wire.server.alias, "/tokenize answers no count")
    return count


async def prompt_ids(wire: Wire, request: Request, model: str) -> list[int]:
    """Token ids of the request's prompt. Raises `InvalidRequest` where the server tells none."""
    prompt = request.prompt
    if prompt is not None and not isinstance(prompt, str):
        return list(prompt)
    answer = await _tokenized(wire, request, model, "tell a prompt's token ids")
    tokens = [] if isinstance(answer, int) else list_at(answer, "tokens")
    ids = [token for token in tokens if isinstance(token, int)]
    if not ids:
        raise BackendUnavailable(wire.server.alias, "/tokenize answers no token ids")
    return ids


async def prefix_id(wire: Wire, model: str) -> int | None:
    """The token before a text that nothing precedes, as a playground says it; of another server
    the one that all texts begin with. None where texts begin with none.
    """
    firsts = []
    for text in ("a", "b"):
        answer = await _tokenized(wire, Request(model, prompt=text), model, "tell token ids")
        tokens = [] if isinstance(answer, int) else list_at(answer, "tokens")
        told = None if isinstance(answer, int) else answer.get("prefix_token_id")
        if isinstance(told, int):
            return told
        firsts.append(tokens[0] if tokens else None)
    first, other = firsts
    return first if first == other and isinstance(first, int) else None


async def _tokenized(wire: Wire, request: Request, model: str, what: str) -> JsonObject | int:
    """The server's answer, or a number where the prompt is token ids already."""
    kind = wire.server.kind
    try:
        if kind.counts == "vllm":
            return await _vllm(wire, request, model)
        if kind.counts == "llama.cpp":
            return await _llama_cpp(wire, request)
    except BackendUnavailable as error:
        if error.status != NO_SUCH_PATH:
            raise
    raise InvalidRequest("model", f"{wire.server.alias} does not {what}")


async def _vllm(wire: Wire, request: Request, model: str) -> JsonObject | int:
    body: JsonObject = {"model": model}
    if request.prompt is not None:
        if not isinstance(request.prompt, str):
            return len(request.prompt)
        body["prompt"] = request.prompt
    else:
        body["messages"] = [message_body(message, wire.server.kind) for message in request.messages]
        if request.tools and request.tool_choice.mode != "none":
            body["tools"] = [tool_body(tool) for tool in request.tools]
        if request.continue_final:
            body |= {"add_generation_prompt": False, "continue_final_message": True}
    return await wire.post(f"{wire.server.root}/tokenize", body)


async def _llama_cpp(wire: Wire, request: Request) -> JsonObject | int:
    prompt = request.prompt
    if prompt is None:
        messages = [message_body(message, wire.server.kind) for message in request.messages]
        rendered = await wire.post(f"{wire.server.root}/apply-template", {"messages": messages})
        prompt = text_at(rendered, "prompt")
    if not isinstance(prompt, str):
        return len(prompt)
    body: JsonObject = {"content": prompt, "add_special": True, "parse_special": True}
    return await wire.post(f"{wire.server.root}/tokenize", body)
