"""What each kind of server says, as far as known: shapes, not recordings of a running server.

Together's are those of its Python client's types, Ollama's partly those of its docs/api.md; two
error messages, of vLLM and of llama.cpp, were looked up in their source. The others are written
from knowledge of these APIs (2026) and were not compared with a running server.
"""

from playground.protocol import Tool
from tests.playground.backends.openai_compatible.recorded import chunk, sse, used, whole

CHATS = "/v1/chat/completions"
NOTE = Tool("note", "Notes a word.", {"type": "object", "properties": {"word": {"type": "string"}}})
GREETED = {
    "type": "object",
    "properties": {"greeted": {"type": "boolean"}},
    "required": ["greeted"],
}
TRIALS = 4  # requests that are tried before the first answer: two for calls
SCORED = {
    "content": [
        {
            "token": "Hi",
            "logprob": -0.25,
            "bytes": [72, 105],
            "top_logprobs": [
                {"token": "Hi", "logprob": -0.25, "bytes": [72, 105]},
                {"token": "Yo", "logprob": -2.5, "bytes": [89, 111]},
            ],
        }
    ]
}
CHAT = sse(
    chunk({"role": "assistant", "content": ""}, logprobs=None),
    chunk({"content": "Hi"}, logprobs=SCORED),
    chunk({"content": " there\u2028!"}, logprobs=None),
    chunk({"content": ""}, "stop", stop_reason=None),
    used(7, 4),
)
CALLS = sse(
    chunk({"role": "assistant", "content": ""}),
    chunk(
        {
            "tool_calls": [
                {
                    "id": "qHYGB3mZo",
                    "type": "function",
                    "index": 0,
                    "function": {"name": "note", "arguments": ""},
                }
            ]
        }
    ),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"word": '}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"hello"}'}}]}),
    chunk({"content": ""}, "tool_calls"),
    used(40, 12),
)
TRIED = whole(
    {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": '{"greeted": true}',
                    "tool_calls": [
                        {
                            "id": "x",
                            "type": "function",
                            "function": {"name": "note", "arguments": '{"word": "hello"}'},
                        }
                    ],
                },
                "logprobs": SCORED,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
    }
)
"""One answer that passes every trial."""
VLLM_MODELS = whole(
    {
        "object": "list",
        "data": [
            {"id": "m", "object": "model", "owned_by": "vllm", "root": "/m", "max_model_len": 8192},
            {"id": "cardio", "object": "model", "owned_by": "vllm", "root": "/a", "parent": "m"},
        ],
    }
)
MISTRAL_MODELS = whole(
    {
        "object": "list",
        "data": [
            {
                "id": "m",
                "object": "model",
                "owned_by": "mistralai",
                "capabilities": {"completion_chat": True, "function_calling": False},
                "max_context_length": 32768,
                "type": "base",
            }
        ],
    }
)
OLLAMA = {
    "/api/version": whole({"version": "0.9.2"}),
    "/api/tags": whole({"models": [{"name": "m", "model": "m", "details": {"family": "llama"}}]}),
    "/api/show": whole(
        {
            "details": {"family": "mistral3"},
            "model_info": {"general.architecture": "mistral3", "mistral3.context_length": 131072},
            "capabilities": ["completion", "tools", "vision"],
        }
    ),
}
