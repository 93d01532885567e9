"""The edge of the API: methods, headers, origins, paths, and the page's own endpoints."""

import gzip
import json
from collections.abc import Iterator

from benchmarks.cases.case import Case, answered, has_header, status
from benchmarks.cases.requests import body


def http() -> Iterator[Case]:
    origin = {"Origin": "http://localhost:3000"}
    asks = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = has_header("access-control-allow-origin", "http://localhost:3000")
    yield Case("HTTP", "preflight", None, (status(200, 204), allowed), "OPTIONS", headers=asks)
    yield Case("HTTP", "origin", body(), (answered, allowed), headers=origin)
    yield Case("HTTP", "origin of a fault", body(foo=1), (status(400), allowed), headers=origin)
    packed = gzip.compress(json.dumps(body()).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    yield Case("HTTP", "gzip", None, (status(200, 415),), headers=headers, content=packed)
    for path in ("/v1/models", "/v1/models/", "/v1//models", "/v1/models/embedded", "/health"):
        for method in ("GET", "HEAD"):
            yield Case("HTTP", f"{method} {path}", None, (status(200),), method, path)
    yield Case("HTTP", "trailing slash", body(), (answered,), path="/v1/chat/completions/")
    yield Case("HTTP", "request id", body(), (has_header("x-request-id"),))
    named = {"X-Request-Id": "my-own-7"}
    check = has_header("x-request-id", "my-own-7")
    yield Case("HTTP", "own request id", body(), (check,), headers=named)
    yield Case("HTTP", "request id of a fault", body(foo=1), (has_header("x-request-id"),))
    yield Case("HTTP", "unknown path", body(), (status(404),), path="/v1/nothing")
    text = {"Content-Type": "text/plain"}
    yield Case("HTTP", "text body", None, (status(415),), headers=text, content=b"{}")
    json_type = {"Content-Type": "application/json"}
    for name, content in {
        "half a body": b'{"model": ',
        "a list": b"[]",
        "NaN": b'{"a": NaN}',
    }.items():
        yield Case("HTTP", name, None, (status(400),), headers=json_type, content=content)
    nonsense: dict[str, object] = {"nothing": {}, "other words": {"x": []}}
    for name, sent in nonsense.items():
        path = "/gradio_api/call/v2/chat"
        yield Case("HTTP", f"page's endpoint: {name}", sent, (status(400, 422),), path=path)
    path = "/gradio_api/call/nothing"
    yield Case("HTTP", "page's unknown endpoint", {"data": []}, (status(404),), path=path)
