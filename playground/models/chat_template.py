"""A model's chat template: a conversation as the text that the model was trained on.

Templates run in transformers' sandboxed Jinja. Names of control tokens in messages are changed
before rendering, so that nothing a user writes becomes a control token. Knows text; knows no ids.
"""

import json
import operator
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerFast

from playground.errors import InvalidRequest
from playground.models.conversation import nearest_forms, renderable
from playground.models.tokenizer import name_in_text
from playground.protocol import Message, Tool
from playground.protocol.json_types import Json, parse_json

PROCESSOR_TEMPLATE_FILE = "chat_template.json"
"""Where processors of images keep the template, which some models have nowhere else."""
WORD_JOINER = "\u2060"
"""Inserted into a control token's name in a message, so that it looks the same and stays text."""
PROBE = "zyxwvu"
RESERVED_VARIABLES = frozenset(
    {
        "messages",
        "conversation",
        "tools",
        "documents",
        "chat_template",
        "add_generation_prompt",
        "continue_final_message",
        "tokenize",
        "padding",
        "truncation",
        "max_length",
        "return_tensors",
        "return_dict",
        "return_assistant_tokens_mask",
        "tokenizer_kwargs",
        "processor_kwargs",
    }
)
"""Variables that are set from other fields of a request, and arguments of transformers' method."""


def use_processor_template(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Give the tokenizer the template of a processor's file if it has none of its own."""
    file = folder / PROCESSOR_TEMPLATE_FILE
    if tokenizer.chat_template is not None or not file.exists():
        return
    try:
        template = json.loads(file.read_text(encoding="utf-8"))["chat_template"]
    except (ValueError, KeyError, TypeError):
        return
    if isinstance(template, str):
        tokenizer.chat_template = template


class ChatTemplate:
    """Renders with the chat template of a tokenizer, which may have none.

    Its methods raise `InvalidRequest` if there is none or it rejects the conversation.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        names = {str(token) for token in tokenizer.added_tokens_decoder.values()}
        names |= set(tokenizer.all_special_tokens)
        markup = sorted(filter(_is_markup, names), key=len, reverse=True)
        self._markup = re.compile("|".join(map(re.escape, markup)) or r"(?!)")
        self._last_prompt: tuple[tuple[object, ...], str] = ((None,), "")

    @property
    def source(self) -> str:
        """The template itself; empty if there is none."""
        return str(self._tokenizer.chat_template or "")

    def prompt(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        continue_final: bool,
        template_kwargs: Mapping[str, Any],
    ) -> str:
        """Render a conversation up to where the answer begins, or goes on."""
        reserved = RESERVED_VARIABLES.intersection(template_kwargs)
        if reserved:
            problem = f"{', '.join(sorted(reserved))} cannot be set this way"
            raise InvalidRequest("chat_template_kwargs", problem)
        if template_kwargs or continue_final:
            return self._render(
                messages, tools, continue_final=continue_final, variables=template_kwargs
            )
        return self._kept_prompt(messages, tools)

    def answer(self, answer: Message, messages: Sequence[Message], tools: Sequence[Tool]) -> str:
        """Render an answer as it follows the prompt, with what the template writes after it."""
        prompt = self._kept_prompt(messages, tools)
        conversation = self._render((*messages, answer), tools, prompts_answer=False)
        if not conversation.startswith(prompt):
            raise InvalidRequest(
                "messages", "the chat template does not render an answer right after its prompt"
            )
        return conversation[len(prompt) :]

    def _kept_prompt(self, messages: Sequence[Message], tools: Sequence[Tool]) -> str:
        """Render a prompt; the last one is kept, because training renders an answer right after its
        prompt. It is known by the same objects: equal tools may be rendered otherwise (1 and true).
        """
        asked = (*messages, *tools)
        last, text = self._last_prompt
        if len(last) != len(asked) or not all(map(operator.is_, last, asked)):
            text = self._render(messages, tools)
            self._last_prompt = asked, text
        return text

    def _render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],
        *,
        continue_final: bool = False,
        prompts_answer: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        if self._tokenizer.chat_template is None:
            raise InvalidRequest("messages", "this model has no chat template; give it a prompt")
        named = [
            message if self._shows_names else name_in_text(message)
            for message in renderable(messages, continue_final=continue_final)
        ]
        if continue_final:
            named[-1] = messages[-1]
        refusal: Exception | None = None
        for form in nearest_forms(named):
            try:
                return str(
                    self._tokenizer.apply_chat_template(
                        [self._as_template_reads(message) for message in form],
                        tools=[self._as_text(tool.to_openai()) for tool in tools] or None,
                        add_generation_prompt=prompts_answer and not continue_final,
                        continue_final_message=continue_final,
                        tokenize=False,
                        **{name: self._as_text(value) for name, value in (variables or {}).items()},
                    )
                )
            except (TemplateError, ValueError, TypeError) as error:
                refusal = refusal or error  # the first one is of the messages as they were sent
        raise InvalidRequest("messages", f"the chat template rejects them: {refusal}") from refusal

    @cached_property
    def _shows_names(self) -> bool:
        """Whether the template shows the name of a user."""
        return self._shows_probe({"name": PROBE, "content": "Hello!"})

    @cached_property
    def _reads_only_parts(self) -> bool:
        """Whether the template shows text only as the part of a list, as some of models that see
        images do."""
        parts = [{"type": "text", "text": PROBE}]
        return not self._shows_probe({"content": PROBE}) and self._shows_probe({"content": parts})

    def _shows_probe(self, message: Mapping[str, object]) -> bool:
        try:
            shown = self._tokenizer.apply_chat_template(
                [{"role": "user", **message}], tokenize=False
            )
        except (TemplateError, ValueError, TypeError):
            return False
        return PROBE in str(shown)

    def _as_template_reads(self, message: Message) -> Json:
        body = self._as_text(message.to_openai())
        if self._reads_only_parts and isinstance(body, dict):
            body["content"] = [{"type": "text", "text": body["content"]}]
        return body

    def _as_text(self, node: Json) -> Json:
        """Break up control tokens in all strings of a message or tool.

        Arguments of calls are parsed to objects, as chat templates expect them.
        """
        if isinstance(node, str):
            return self._markup.sub(broken_up, node)
        if isinstance(node, dict):
            return {
                self._markup.sub(broken_up, key): self._as_text(
                    parse_json(child) if key == "arguments" and isinstance(child, str) else child
                )
                for key, child in node.items()
            }
        return [self._as_text(child) for child in node] if isinstance(node, list) else node


def broken_up(name: re.Match[str]) -> str:
    """Return the name of a control token as text that is none."""
    return name[0][0] + WORD_JOINER + name[0][1:]


def _is_markup(name: str) -> bool:
    """Tell markup from added tokens that are words or white space."""
    return bool(name) and not name.isspace() and not name.isalnum()
