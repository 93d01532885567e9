"""The dialects of servers, as data: which parameters each takes, and by which names.

A parameter that is missing here is refused with the reason, never dropped. What a model can do
beyond that is asked of the server (`asking`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from playground.protocol import FormatKind
from playground.settings import BackendKind

Capability = Literal["tools", "schema", "logprobs"]
Continuation = Literal["", "flags", "last"]
"""How the last assistant message is continued: not at all, by vLLM's two flags, or whenever it is
the last message."""

OPENAI_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "stop": "stop",
    "logit_bias": "logit_bias",
}
LOCAL_SAMPLING = {"top_k": "top_k", "min_p": "min_p"}
VLLM_SAMPLING = {
    **OPENAI_SAMPLING,
    **LOCAL_SAMPLING,
    "repetition_penalty": "repetition_penalty",
    "min_tokens": "min_tokens",
    "stop_token_ids": "stop_token_ids",
    "include_stop_str_in_output": "include_stop_str_in_output",
    "ignore_eos": "ignore_eos",
}
HOSTED = frozenset({"temperature", "top_p"})
OWN_DEFAULTS = frozenset({"temperature", "top_p", "top_k", "min_p", "repetition_penalty"})
"""Parameters for which a server on one's own machine has defaults that change the answer: they are
always sent."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server.

    ``sampling`` maps our names to its; those of ``always`` are sent with their default, too.
    ``formats`` are the response formats it is known to take, ``format_style`` how they are written.
    ``prompts``: raw prompts as text, as token ids. ``prompt_logprobs``: by vLLM's parameter of that
    name, or by OpenAI's ``echo``, which is asked for without an answer only. ``asks`` are the
    capabilities that only a trial request shows. ``counts``: how it counts a prompt's tokens.
    """

    name: BackendKind
    title: str
    sampling: Mapping[str, str]
    always: frozenset[str] = HOSTED
    formats: frozenset[FormatKind] = frozenset({"schema"})
    format_style: Literal["openai", "vllm", "llama.cpp", "together"] = "openai"
    prompts: frozenset[Literal["text", "tokens"]] = frozenset({"text"})
    prompt_logprobs: Literal["", "vllm", "echo"] = ""
    usage_option: bool = True
    forced_call: str = "required"
    names_call: bool = True
    continuation: Continuation = ""
    template_kwargs: bool = False
    reasoning_history: bool = False
    short_call_ids: bool = False
    counts: Literal["", "vllm", "llama.cpp"] = ""
    adapters: bool = False
    own_guarantee: bool = False
    asks: frozenset[Capability] = frozenset({"tools", "schema", "logprobs"})
    lacks: Mapping[Capability, str] = field(default_factory=dict)


_ALL_FORMATS: frozenset[FormatKind] = frozenset({"schema", "regex", "choice", "grammar"})
_BOTH: frozenset[Literal["text", "tokens"]] = frozenset({"text", "tokens"})

VLLM = Kind(
    name="vllm",
    title="vLLM",
    sampling=VLLM_SAMPLING,
    always=OWN_DEFAULTS,
    formats=_ALL_FORMATS,
    format_style="vllm",
    prompts=_BOTH,
    prompt_logprobs="vllm",
    continuation="flags",
    template_kwargs=True,
    reasoning_history=True,
    counts="vllm",
    adapters=True,
)
PLAYGROUND = Kind(
    name="playground",
    title="a playground",
    sampling=VLLM_SAMPLING,
    always=OWN_DEFAULTS,
    formats=_ALL_FORMATS,
    format_style="vllm",
    prompts=_BOTH,
    prompt_logprobs="echo",
    continuation="flags",
    template_kwargs=True,
    reasoning_history=True,
    counts="vllm",
    own_guarantee=True,
)
LLAMA_CPP = Kind(
    name="llama.cpp",
    title="llama.cpp's server",
    sampling={
        **OPENAI_SAMPLING,
        **LOCAL_SAMPLING,
        "repetition_penalty": "repeat_penalty",
        "ignore_eos": "ignore_eos",
    },
    always=OWN_DEFAULTS,
    formats=frozenset({"schema", "choice", "grammar"}),
    format_style="llama.cpp",
    prompts=_BOTH,
    continuation="last",
    template_kwargs=True,
    counts="llama.cpp",
)
OLLAMA = Kind(
    name="ollama",
    title="Ollama",
    sampling={
        **{name: name for name in ("temperature", "top_p", "top_k", "min_p", "seed", "stop")},
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "repetition_penalty": "repeat_penalty",
        "max_tokens": "num_predict",
    },
    always=OWN_DEFAULTS,
    forced_call="",
    continuation="last",
    asks=frozenset(),
)
TOGETHER = Kind(
    name="together",
    title="Together",
    sampling={
        **OPENAI_SAMPLING,
        **LOCAL_SAMPLING,
        "repetition_penalty": "repetition_penalty",
    },
    formats=frozenset({"schema", "regex"}),
    format_style="together",
    usage_option=False,
)
MISTRAL = Kind(
    name="mistral",
    title="Mistral's platform",
    sampling={
        "temperature": "temperature",
        "top_p": "top_p",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "max_tokens": "max_tokens",
        "seed": "random_seed",
        "stop": "stop",
    },
    prompts=frozenset(),
    usage_option=False,
    forced_call="any",
    names_call=False,
    short_call_ids=True,
    asks=frozenset(),
    lacks={"logprobs": "Mistral's API does not report them"},
)
OPENAI = Kind(name="openai", title="an OpenAI-compatible server", sampling=OPENAI_SAMPLING)

KINDS: Mapping[BackendKind, Kind] = MappingProxyType(
    {kind.name: kind for kind in (OPENAI, PLAYGROUND, VLLM, LLAMA_CPP, OLLAMA, TOGETHER, MISTRAL)}
)
