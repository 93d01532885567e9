"""The current request as code for the API. Pure functions from a `Request` to text.

Text is written in each language so that it means the same there, whatever it holds: quotes, line
breaks, ``$``, backticks, ``</script>``.
"""

import json
from dataclasses import dataclass, fields

import gradio as gr

from playground.lab.prompt_content import ROLES, SETTINGS, verbatim
from playground.lab.prompts import dump_yaml
from playground.protocol import Request, Sampling, Tool

OPENAI_PARAMETERS = frozenset(
    {
        "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format",
        "temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens", "seed",
        "stop", "stream",
    }
)  # fmt: skip
TOGETHER_PARAMETERS = (OPENAI_PARAMETERS - {"parallel_tool_calls"}) | {
    "top_k", "min_p", "repetition_penalty"
}  # fmt: skip
ALWAYS = ("temperature", "top_p")
"""Written even where they are the protocol's defaults: a model may have others."""
API_KEY_VARIABLE = "PLAYGROUND_API_KEY"


@dataclass(frozen=True, slots=True)
class Snippets:
    """One request in each language."""

    python: str
    together: str
    javascript: str
    curl: str
    yaml: str


def snippets(request: Request, base_url: str, *, needs_key: bool = False) -> Snippets:
    """Return the request in all languages; ``base_url`` ends in ``/v1``. A plain answer is
    streamed; one with tools or a form comes whole."""
    body = request_body(request)
    if not (request.tools or request.response_format):
        body["stream"] = True
    return Snippets(
        python=_python_snippet(body, base_url, needs_key=needs_key),
        together=_together_snippet(body, base_url, needs_key=needs_key),
        javascript=_javascript_snippet(body, base_url, needs_key=needs_key),
        curl=_curl_snippet(body, base_url, needs_key=needs_key),
        yaml=_yaml_snippet(request),
    )


def request_body(request: Request) -> dict[str, object]:
    """Return the body of the chat completion that asks the same."""
    body: dict[str, object] = {
        "model": request.model,
        "messages": [message.to_openai() for message in request.messages],
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        choice = request.tool_choice
        named = {"type": "function", "function": {"name": choice.names[0]}} if choice.names else ""
        body["tool_choice"] = named or choice.mode
        if not choice.parallel:
            body["parallel_tool_calls"] = False
    if request.response_format:
        form = request.response_format
        json_schema = {"name": form.name or "answer", "strict": form.strict, "schema": form.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    return body | _settings(request.sampling)


def api_address(page_request: gr.Request) -> str:
    """Return the base URL of the API that serves this page."""
    http = page_request.request
    told = http.headers.get("x-gradio-server") or str(http.base_url)  # `playground.api.root`
    return f"{told.rstrip('/')}/v1"


def _python_snippet(body: dict[str, object], base_url: str, *, needs_key: bool) -> str:
    return (
        f"{'import os' + chr(10) * 2 if needs_key else ''}"
        "from openai import OpenAI\n\n"
        f"client = OpenAI(base_url={_python(base_url)}, api_key={_python_key(needs_key)})\n"
        f"{_python_call(body, OPENAI_PARAMETERS)}"
    )


def _together_snippet(body: dict[str, object], base_url: str, *, needs_key: bool) -> str:
    return (
        f"{'import os' + chr(10) * 2 if needs_key else ''}"
        "from together import Together\n\n"
        f"client = Together(base_url={_python(base_url)}, api_key={_python_key(needs_key)})\n"
        f"{_python_call(body, TOGETHER_PARAMETERS)}"
    )


def _python_call(body: dict[str, object], known: frozenset[str]) -> str:
    """The call with what the client does not know in ``extra_body``, and its answer printed."""
    arguments = {name: value for name, value in body.items() if name in known}
    extra = {name: value for name, value in body.items() if name not in known}
    if extra:
        arguments["extra_body"] = extra
    lines = "".join(f"    {name}={_python(value, 1)},\n" for name, value in arguments.items())
    if body.get("stream"):
        return (
            f"stream = client.chat.completions.create(\n{lines})\n"
            "for chunk in stream:\n"
            "    if chunk.choices:\n"
            '        print(chunk.choices[0].delta.content or "", end="", flush=True)\n'
        )
    return (
        f"answer = client.chat.completions.create(\n{lines})\n"
        "message = answer.choices[0].message\n"
        "for call in message.tool_calls or ():\n"
        "    print(call.function.name, call.function.arguments)\n"
        'print(message.content or "", end="")\n'
    )


def _javascript_snippet(body: dict[str, object], base_url: str, *, needs_key: bool) -> str:
    key = f"process.env.{API_KEY_VARIABLE}" if needs_key else '"none"'
    head = (
        "// npm install openai, then: node code.mjs\n"
        'import OpenAI from "openai";\n\n'
        f"const client = new OpenAI({{ baseURL: {_javascript(base_url)}, apiKey: {key} }});\n"
    )
    if body.get("stream"):
        return (
            f"{head}const stream = await client.chat.completions.create({_javascript(body)});\n"
            "for await (const chunk of stream) {\n"
            '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n'
            "}\n"
        )
    return (
        f"{head}const answer = await client.chat.completions.create({_javascript(body)});\n"
        "const message = answer.choices[0].message;\n"
        "for (const call of message.tool_calls ?? []) {\n"
        "  console.log(call.function.name, call.function.arguments);\n"
        "}\n"
        'process.stdout.write(message.content ?? "");\n'
    )


def _curl_snippet(body: dict[str, object], base_url: str, *, needs_key: bool) -> str:
    """The body comes from a quoted here-document, in which nothing is replaced: JSON has no line
    breaks in texts, so that no line of it ends the document, and it may be of any length."""
    key = f' \\\n  -H "Authorization: Bearer ${API_KEY_VARIABLE}"' if needs_key else ""
    return (
        f"curl -N {base_url}/chat/completions \\\n"
        f"  -H 'Content-Type: application/json'{key} \\\n"
        "  --data-binary @- <<'JSON'\n"
        f"{json.dumps(body, indent=2, ensure_ascii=False)}\n"
        "JSON\n"
    )


def _yaml_snippet(request: Request) -> str:
    """The request as a prompt of one version. Calls and their results are no part of a prompt."""
    messages = [
        {"role": message.role, "content": verbatim(message.content)}
        for message in request.messages
        if message.role in ROLES and message.content
    ]
    version: dict[str, object] = {"model": request.model, "messages": messages}
    version["sampling"] = {k: v for k, v in _settings(request.sampling).items() if k in SETTINGS}
    if request.response_format:
        version["schema"] = request.response_format.schema
    if request.tools:
        version["tools"] = [_tool(tool) for tool in request.tools]
    left_out = "# Left out: calls and their results, which no prompt holds.\n"
    return (
        "# playground prompts import FILE, or Import YAML in the Prompts tab;\n"
        '# then POST /v1/responses {"prompt": {"id": "my-prompt"}}\n'
        f"{left_out if len(messages) < len(request.messages) else ''}"
        f"{dump_yaml({'name': 'my-prompt', 'versions': [version]})}"
    )


def _tool(tool: Tool) -> dict[str, object]:
    described = tool.to_openai()
    if tool.strict:
        described["function"]["strict"] = True
    return described


def _settings(sampling: Sampling) -> dict[str, object]:
    """Return each parameter that differs from the protocol's defaults, and those of `ALWAYS`."""
    plain = Sampling()
    settings: dict[str, object] = {}
    for name in (field.name for field in fields(Sampling)):
        value = getattr(sampling, name)
        if name in ALWAYS or value != getattr(plain, name):
            settings[name] = list(value) if isinstance(value, tuple) else value
    return settings


def _python_key(needs_key: bool) -> str:
    return f'os.environ["{API_KEY_VARIABLE}"]' if needs_key else '"none"'


def _python(value: object, depth: int = 0) -> str:
    """Return a Python literal. A string is one of JSON, whose escapes Python reads alike."""
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict) and value:
        items = "".join(
            f"{inner}{_python(k)}: {_python(v, depth + 1)},\n" for k, v in value.items()
        )
        return f"{{\n{items}{outer}}}"
    if isinstance(value, list | tuple) and value:
        items = "".join(f"{inner}{_python(each, depth + 1)},\n" for each in value)
        return f"[\n{items}{outer}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _javascript(value: object) -> str:
    """Return a JavaScript literal. ``</`` gets a backslash, which changes nothing, so that the code
    may stand in a page, too."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("</", "<\\/")
