"""How model families write tool calls. Data only: grammars and readers are made from it elsewhere.

To add a family: a name here, and its recognition in `playground.models.template_tokenizer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

CallFormatName = Literal["mistral", "hermes", "llama3"]


@dataclass(frozen=True, slots=True)
class CallFormat:
    """The text around tool calls.

    An answer with calls is ``opening call (separator call)* closing``; ``opening`` and ``closing``
    are terms of an llguidance grammar. A call is ``call_prefix NAME, "arguments_key": ARGUMENTS
    call_suffix``, in plain text. ``separator`` is None if an answer has at most one call.
    ``text`` is the grammar's regular expression of an answer without calls. ``marker`` is the text
    that calls begin with, empty if they begin with a control token. ``text_before_calls`` says
    whether an answer may have text and then calls.
    """

    opening: str
    closing: str
    call_prefix: str
    call_suffix: str
    arguments_key: str
    separator: str | None
    text: str = r"/(.|\n)*/"
    marker: str = ""
    text_before_calls: bool = True


CALL_FORMATS: Mapping[CallFormatName, CallFormat] = MappingProxyType(
    {
        # Mistral's V3 to V7 templates: a control token, then a JSON array.
        "mistral": CallFormat(
            opening='<TOOL_CALLS> "["',
            closing='"]"',
            call_prefix='{"name": ',
            call_suffix="}",
            arguments_key="arguments",
            separator=", ",
        ),
        # Hermes 2 Pro (github.com/NousResearch/Hermes-Function-Calling) and Qwen 2.5 and 3.
        "hermes": CallFormat(
            opening="",
            closing="",
            call_prefix='<tool_call>\n{"name": ',
            call_suffix="}\n</tool_call>",
            arguments_key="arguments",
            separator="\n",
            text=r"/(.|\n)*/ & ~/(.|\n)*<tool_call>(.|\n)*/",
            marker="<tool_call>",
        ),
        # Llama 3.1 and later (llama.com/docs, "JSON based tool calling"): the object is the answer.
        "llama3": CallFormat(
            opening="",
            closing="",
            call_prefix='{"name": ',
            call_suffix="}",
            arguments_key="parameters",
            separator=None,
            text=r"/([^{\s](.|\n)*)?/",
            marker="{",
            text_before_calls=False,
        ),
    }
)
