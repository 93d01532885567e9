"""Orders of messages that libraries send, as the templates of several families can hold them."""

from pathlib import Path

import pytest

from playground.errors import InvalidRequest
from playground.models.conversation import nearest_forms
from playground.models.loaded import LoadedModel
from playground.models.template_tokenizer import TemplateTokenizer
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Message, Tool, ToolCall
from tests.playground.models.template_folder import write_template_tokenizer

USER, ANSWER = Message("user", "Hello!"), Message("assistant", "Hi.")
FRENCH = Message("system", "Answer in French.")
AGAIN = Message("user", "Who are you?")
CALLS = Message("assistant", "", (ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}")))
RESULTS = (Message("tool", "two", tool_call_id="c2"), Message("tool", "one", tool_call_id="c1"))

ORDERS = {
    "system after answer": (USER, ANSWER, FRENCH, AGAIN),
    "system at the end": (USER, ANSWER, FRENCH),
    "system after results": (USER, CALLS, *RESULTS, FRENCH),
    "only system": (FRENCH,),
    "answer at the end": (USER, ANSWER),
    "answer at the beginning": (ANSWER, USER),
    "two answers": (USER, ANSWER, ANSWER, AGAIN),
    "two users": (USER, AGAIN),
    "results out of order": (USER, CALLS, *RESULTS),
    "a result is missing": (USER, CALLS, RESULTS[0], AGAIN),
    "no result at all": (USER, CALLS, AGAIN),
    "result without call": (USER, RESULTS[0]),
    "empty answer": (USER, Message("assistant"), AGAIN),
    "nothing but an empty answer": (Message("assistant"),),
}
ALTERNATING = """{%- if messages[0].role == 'system' %}
{{- raise_exception('no system role') }}{%- endif %}
{%- for message in messages %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must alternate') }}{%- endif %}
{{- '<|' + message.role + '|>' + message.content }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"""
SYSTEM_FIRST = """{%- for message in messages %}
{%- if message.role == 'system' and not loop.first %}
{{- raise_exception('system first') }}{%- endif %}
{{- '<|' + message.role + '|>' + (message.content or '') }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"""


def shown(tokenizer: ChatTokenizer, token_ids: list[int]) -> str:
    """The prompt as text, control tokens by their names."""
    names = tokenizer.control_tokens
    pieces = (names[i].encode() if i in names else tokenizer.token_bytes(i) for i in token_ids)
    return b"".join(pieces).decode()


@pytest.fixture(params=[ALTERNATING, SYSTEM_FIRST], ids=["alternating", "system first"])
def strict_tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> TemplateTokenizer:
    """One whose template refuses most orders."""
    return write_template_tokenizer(tmp_path, request.param)


@pytest.mark.parametrize("messages", ORDERS.values(), ids=ORDERS)
def test_mistral_template_takes_any_order(loaded: LoadedModel, messages: tuple[Message]) -> None:
    assert loaded.tokenizer.render(messages)


@pytest.mark.parametrize("messages", ORDERS.values(), ids=ORDERS)
def test_every_text_reaches_strict_template(
    strict_tokenizer: TemplateTokenizer, messages: tuple[Message]
) -> None:
    prompt = shown(strict_tokenizer, strict_tokenizer.render(messages))
    places = [prompt.find(message.content) for message in messages]
    assert -1 not in places
    assert prompt.endswith("<|assistant|>")


def test_system_stays_where_it_was_said(loaded: LoadedModel) -> None:
    """As the template published with Mistral Small 3 writes it."""
    tokenizer = loaded.tokenizer
    assert shown(tokenizer, tokenizer.render([USER, ANSWER, FRENCH, AGAIN])) == (
        "<s><INST>Hello!</INST>Hi.</s><SYSTEM_PROMPT>Answer in French.</SYSTEM_PROMPT>"
        "<INST>Who are you?</INST>"
    )


def test_refused_system_joins_next_user(tmp_path: Path) -> None:
    tokenizer = write_template_tokenizer(tmp_path, ALTERNATING)
    prompt = shown(tokenizer, tokenizer.render([USER, ANSWER, FRENCH, AGAIN]))
    assert "<|user|>Answer in French.\n\nWho are you?" in prompt


def test_tools_are_shown_without_user(loaded: LoadedModel) -> None:
    prompt = loaded.tokenizer.render([FRENCH], [Tool("look", "Look it up.")])
    assert "Look it up." in shown(loaded.tokenizer, prompt)


def test_refusal_names_what_was_sent(tmp_path: Path) -> None:
    """And not the last of the plainer forms."""
    never = "{{ raise_exception('never ' + messages[-1].role) }}"
    tokenizer = write_template_tokenizer(tmp_path, never)
    with pytest.raises(InvalidRequest, match="never system"):
        tokenizer.render([USER, FRENCH])


def test_first_form_is_as_sent() -> None:
    messages = [USER, ANSWER, FRENCH, AGAIN]
    assert next(nearest_forms(messages)) == messages
