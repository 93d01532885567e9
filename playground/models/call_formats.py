"""How each model family writes tool calls: markers, keys and separators, as data.

`playground.structured` makes grammars of it and reads calls back. Knows no schema.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

CallFormatName = Literal[
    "mistral_v2", "mistral_v3", "mistral", "mistral_v11", "mistral_v13", "hermes", "llama3"
]
CALLS_TOKEN = "<TOOL_CALLS>"


@dataclass(frozen=True, slots=True)
class CallFormat:
    """``control`` is the control token before all calls; ``prefix`` and ``suffix`` stand around all
    calls, ``call_prefix`` and ``call_suffix`` around each call's name and arguments, as text;
    ``separator`` between two calls, None where an answer has one call at most. ``arguments_key`` is
    the key of the arguments.

    ``call_terms``, where given, are the terms of a grammar that begin each call, with its name in
    place of ``{name}``: control tokens mark its parts then.

    ``marker`` is the text that starts the calls where no control token does. ``text_pattern`` is
    the regular expression of an answer without calls; ``text_before_calls`` allows both in one
    answer.
    """

    arguments_key: str = ""
    call_prefix: str = ""
    call_suffix: str = ""
    separator: str | None = ""
    control: str = ""
    prefix: str = ""
    suffix: str = ""
    call_terms: str = ""
    marker: str = ""
    text_pattern: str = r"/(.|\n)*/"
    text_before_calls: bool = True

    def opening(self, name: str) -> str:
        """Return the terms of a grammar for a call's beginning, up to its arguments."""
        quoted = json.dumps(name)
        if self.call_terms:
            return self.call_terms.format(name=quoted)
        return json.dumps(f'{self.call_prefix}{quoted}, "{self.arguments_key}": ')


_MISTRAL_LIST = CallFormat(
    arguments_key="arguments",
    control=CALLS_TOKEN,
    prefix="[",
    suffix="]",
    call_prefix='{"name": ',
    call_suffix="}",
    separator=", ",
)

CALL_FORMATS: Mapping[CallFormatName, CallFormat] = {
    # Mistral's V2: a control token, then a JSON array; results of several calls have no form.
    "mistral_v2": replace(_MISTRAL_LIST, separator=None, text_before_calls=False),
    "mistral_v3": replace(_MISTRAL_LIST, text_before_calls=False),
    # V7: text may stand before the calls.
    "mistral": _MISTRAL_LIST,
    # V11: each call after a control token of its own. The model may write its id; histories do.
    "mistral_v11": CallFormat(
        call_terms=f"{CALLS_TOKEN} {{name}} (<CALL_ID> /[A-Za-z0-9]{{{{9}}}}/)? <ARGS>"
    ),
    # V13 and V15: without ids.
    "mistral_v13": CallFormat(call_terms=f"{CALLS_TOKEN} {{name}} <ARGS>"),
    # Hermes 2 Pro (github.com/NousResearch/Hermes-Function-Calling) and Qwen 2.5 and 3.
    "hermes": CallFormat(
        arguments_key="arguments",
        call_prefix='<tool_call>\n{"name": ',
        call_suffix="}\n</tool_call>",
        separator="\n",
        marker="<tool_call>",
        text_pattern=r"/(.|\n)*/ & ~/(.|\n)*<tool_call>(.|\n)*/",
    ),
    # Llama 3.1 and later (llama.com/docs, "JSON based tool calling"): the object is the answer.
    "llama3": CallFormat(
        arguments_key="parameters",
        call_prefix='{"name": ',
        call_suffix="}",
        separator=None,
        marker="{",
        text_pattern=r"/([^{\s](.|\n)*)?/",
        text_before_calls=False,
    ),
}
