"""How each model family writes tool calls: markers, keys and separators, as data.

`playground.structured` makes grammars of it and reads calls back. Knows no grammar and no schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CallFormatName = Literal["mistral", "hermes", "llama3"]


@dataclass(frozen=True, slots=True)
class CallFormat:
    """``prefix`` and ``suffix`` stand around all calls, as terms of a grammar; ``call_prefix`` and
    ``call_suffix`` around each call's name and arguments, as text; ``separator`` between two calls,
    None where an answer has one call at most. ``arguments_key`` is the key of the arguments.

    ``marker`` is the text that starts the calls where no control token does. ``text_pattern`` is
    the regular expression of an answer without calls; ``text_before_calls`` allows both in one
    answer.
    """

    arguments_key: str
    call_prefix: str
    call_suffix: str
    separator: str | None
    prefix: str = ""
    suffix: str = ""
    marker: str = ""
    text_pattern: str = r"/(.|\n)*/"
    text_before_calls: bool = True


CALL_FORMATS: Mapping[CallFormatName, CallFormat] = {
    # Mistral's V3 to V7 templates: a control token, then a JSON array.
    "mistral": CallFormat(
        arguments_key="arguments",
        prefix='<TOOL_CALLS> "["',
        suffix='"]"',
        call_prefix='{"name": ',
        call_suffix="}",
        separator=", ",
    ),
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
