"""Count a prompt's tokens at the server that has the tokenizer."""

from playground.backends.openai_compatible.body import message_body, tool_body
from playground.backends.openai_compatible.wire import Wire
from playground.errors import BackendUnavailable, InvalidRequest
from playground.protocol import Request
from playground.protocol.json_types import JsonObject, list_at, text_at

NO_SUCH_PATH = 404


async def prompt_tokens(wire: Wire, request: Request, model: str) -> int:
    """Tokens of the request's prompt. Raises `InvalidRequest` where the server does not count."""
    kind = wire.server.kind
    try:
        if kind.counts == "vllm":
            return await _vllm(wire, request, model)
        if kind.counts == "llama.cpp":
            return await _llama_cpp(wire, request)
    except BackendUnavailable as error:
        if error.status != NO_SUCH_PATH:
            raise
    raise InvalidRequest("model", f"{wire.server.alias} does not count a prompt's tokens")


async def _vllm(wire: Wire, request: Request, model: str) -> int:
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
    answer = await wire.post(f"{wire.server.root}/tokenize", body)
    count = answer.get("count")
    if not isinstance(count, int):
        raise BackendUnavailable(wire.server.alias, "/tokenize answers no count")
    return count


async def _llama_cpp(wire: Wire, request: Request) -> int:
    prompt = request.prompt
    if prompt is None:
        messages = [message_body(message, wire.server.kind) for message in request.messages]
        rendered = await wire.post(f"{wire.server.root}/apply-template", {"messages": messages})
        prompt = text_at(rendered, "prompt")
    if not isinstance(prompt, str):
        return len(prompt)
    body: JsonObject = {"content": prompt, "add_special": True, "parse_special": True}
    return len(list_at(await wire.post(f"{wire.server.root}/tokenize", body), "tokens"))
