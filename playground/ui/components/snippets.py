"""The current request as code for the API. Pure functions from a `Request` to text."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import fields
from pprint import pformat

import gradio as gr

from playground.protocol import Request, Sampling

OPENAI_PARAMETERS = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens", "seed", "stop"}
)
API_KEY_VARIABLE = "PLAYGROUND_API_KEY"


def python_snippet(request: Request, base_url: str, *, needs_key: bool = False) -> str:
    """Return a streamed call of the openai client, with what OpenAI lacks in ``extra_body``."""
    settings = _settings(request.sampling)
    arguments = [
        f"model={json.dumps(request.model)}",
        f"messages={_python(_messages(request))}",
        *(f"{name}={_python(settings[name])}" for name in settings if name in OPENAI_PARAMETERS),
    ]
    extra = {name: value for name, value in settings.items() if name not in OPENAI_PARAMETERS}
    if extra:
        arguments.append(f"extra_body={_python(extra)}")
    arguments.append("stream=True")
    call = "".join(f"    {_indented(argument)},\n" for argument in arguments)
    return (
        f"{_client(base_url, needs_key=needs_key)}"
        f"stream = client.chat.completions.create(\n{call})\n"
        "for chunk in stream:\n"
        "    if chunk.choices:\n"
        '        print(chunk.choices[0].delta.content or "", end="", flush=True)\n'
    )


def structured_snippet(
    request: Request, base_url: str, options: Mapping[str, object], *, needs_key: bool = False
) -> str:
    """Return an unstreamed call of the openai client with ``options`` such as tools."""
    arguments = {
        "model": request.model,
        "messages": _messages(request),
        **options,
        **_settings(request.sampling),
    }
    call = "".join(
        f"    {name}={_indented(pformat(value, width=92, sort_dicts=False))},\n"
        for name, value in arguments.items()
    )
    shown = "message.tool_calls or message.content" if "tools" in options else "message.content"
    return (
        f"{_client(base_url, needs_key=needs_key)}"
        f"answer = client.chat.completions.create(\n{call})\n"
        "message = answer.choices[0].message\n"
        f"print({shown})\n"
    )


def curl_snippet(
    request: Request,
    base_url: str,
    options: Mapping[str, object] | None = None,
    *,
    needs_key: bool = False,
) -> str:
    """Return the call for a POSIX shell; it is streamed unless there are ``options``."""
    body = {
        "model": request.model,
        "messages": _messages(request),
        **_settings(request.sampling),
        **({"stream": True} if options is None else options),
    }
    lines = [
        f"curl {'-N ' if options is None else ''}{shlex.quote(base_url + '/chat/completions')}",
        "-H 'Content-Type: application/json'",
        *([f'-H "Authorization: Bearer ${API_KEY_VARIABLE}"'] if needs_key else []),
        f"-d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}",
    ]
    return " \\\n  ".join(lines) + "\n"


def _client(base_url: str, *, needs_key: bool) -> str:
    """Return the import and the client, as every Python snippet begins."""
    key = f'os.environ["{API_KEY_VARIABLE}"]' if needs_key else '"none"'
    return (
        f"{'import os' + chr(10) * 2 if needs_key else ''}"
        "from openai import OpenAI\n\n"
        f"client = OpenAI(base_url={json.dumps(base_url)}, api_key={key})\n"
    )


def api_address(page_request: gr.Request) -> str:
    """Return the base URL of the API that serves this page."""
    return f"{str(page_request.request.base_url).rstrip('/')}/v1"


def _messages(request: Request) -> list[dict[str, object]]:
    return [message.to_openai() for message in request.messages]


def _settings(sampling: Sampling) -> dict[str, object]:
    """Return the temperature, and each parameter that differs from the protocol's defaults."""
    plain = Sampling()
    names = [field.name for field in fields(Sampling)]
    settings = {
        name: getattr(sampling, name)
        for name in names
        if name == "temperature" or getattr(sampling, name) != getattr(plain, name)
    }
    if "stop" in settings:
        settings["stop"] = list(sampling.stop)
    return settings


def _python(value: object) -> str:
    """Return JSON text, which for strings, numbers and containers of them is also Python."""
    return json.dumps(
        value, indent=4 if isinstance(value, list | dict) else None, ensure_ascii=False
    )


def _indented(argument: str) -> str:
    return argument.replace("\n", "\n    ")
