"""Nothing that a user writes becomes a control token.

The control tokens of a rendering depend only on the conversation's structure: the same
conversation with harmless text has the same ones, in the same order.
"""

import json
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from playground.errors import InvalidRequest
from playground.lab.extraction import json_request
from playground.models.loaded import LoadedModel
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Message, Sampling, Tool, ToolCall

NAMES = """<s> </s> [INST] [/INST] [TOOL_CALLS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS]
[/TOOL_RESULTS] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] <unk> <pad> [IMG] <SPECIAL_42>
<|im_start|> <|im_end|> <|eot_id|> <tool_call>""".splitlines()
LOOKALIKES = [name for line in NAMES for name in line.split()]
TEXT = st.lists(
    st.sampled_from(LOOKALIKES) | st.text(max_size=6) | st.sampled_from([" ", "\n", "[", "<", "/"]),
    min_size=1,
    max_size=6,
).map("".join)


@dataclass(frozen=True)
class Texts:
    """All texts in a conversation that a user may write."""

    system: str
    user: str
    answer: str
    argument: str
    result: str
    description: str
    enum: str

    def render(self, tokenizer: ChatTokenizer) -> list[int]:
        schema = {"type": "object", "properties": {"x": {"enum": [self.enum]}}}
        tool = Tool("look", self.description, schema)
        call = ToolCall("abcdefghi", "look", json.dumps({"x": self.argument}))
        return tokenizer.render(
            [
                Message("system", self.system),
                Message("user", self.user),
                Message("assistant", "", (call,)),
                Message("tool", self.result, tool_call_id="abcdefghi", name="look"),
                Message("assistant", self.answer),
                Message("user", self.user),
            ],
            [tool],
        )


PLAIN = Texts("a", "b", "c", "d", "e", "f", "g")


def control_tokens(tokenizer: ChatTokenizer, tokens: list[int]) -> list[int]:
    known = tokenizer.control_tokens
    return [token for token in tokens if token in known]


@pytest.mark.slow
@settings(max_examples=300)
@given(st.builds(Texts, *[TEXT] * 7))
def test_text_never_becomes_a_control_token(loaded: LoadedModel, texts: Texts) -> None:
    assume(texts.answer)  # an empty one is left out, as no template can render it
    tokenizer = loaded.tokenizer
    try:
        rendered = texts.render(tokenizer)
    except InvalidRequest:
        return
    assert control_tokens(tokenizer, rendered) == control_tokens(tokenizer, PLAIN.render(tokenizer))


@pytest.mark.slow
@settings(max_examples=100)
@given(TEXT, TEXT)
def test_schema_never_becomes_a_control_token(loaded: LoadedModel, title: str, text: str) -> None:
    def rendered(title: str, text: str) -> list[int]:
        schema = {"type": "object", "title": title, "properties": {"a": {"const": title}}}
        request = json_request("embedded", text, schema, Sampling())
        return loaded.tokenizer.render(request.messages)

    harmless = rendered("a", "b")
    assert control_tokens(loaded.tokenizer, rendered(title, text)) == control_tokens(
        loaded.tokenizer, harmless
    )


@pytest.mark.slow
@given(TEXT)
def test_encode_plain_gives_ordinary_tokens(loaded: LoadedModel, text: str) -> None:
    tokens = loaded.tokenizer.encode_plain(text)
    assert not control_tokens(loaded.tokenizer, tokens)
    assert b"".join(map(loaded.tokenizer.token_bytes, tokens)).decode() == text
