"""Plain conversations are rendered without mistral-common's conversion, to the same tokens."""

import pickle

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest

from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer
from playground.protocol import Message

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)
CONVERSATIONS = [
    [Message("user", "Wo ist Tor 4? 🙂 [INST]")],
    [Message("user", "a"), Message("assistant", " b "), Message("user", "c\n")],
    [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello "),
     Message("user", ""), Message("user", "Two in a row")],
    [Message("user", "a"), Message("assistant", "b"), Message("system", "late"),
     Message("user", "c")],
]  # fmt: skip


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_plain_request_equals_converted(messages: list[Message]) -> None:
    request = ChatCompletionRequest.from_openai([message.to_openai() for message in messages])
    instruct = TOKENIZER._normalizer.from_chat_completion_request(request)
    expected = TOKENIZER._instruct.encode_instruct(instruct).tokens
    assert TOKENIZER.render(messages) == expected


def test_tokenizer_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(TOKENIZER))
    assert again.render(CONVERSATIONS[1]) == TOKENIZER.render(CONVERSATIONS[1])
