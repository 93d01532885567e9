"""Names and variables in the chat templates of other families."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from playground.errors import InvalidRequest
from playground.models.template_tokenizer import TemplateTokenizer
from playground.protocol import Message, Tool
from tests.playground.models.template_folder import write_template_tokenizer

PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
NAMED = "{% for m in messages %}{{ m.name or m.role }}> {{ m.content }}\n{% endfor %}"
THINKING = PLAIN + "{% if thinking %}<think>{{ thinking }}{% endif %}"
ADA = Message("user", "Hello!", name="Ada")


def rendered(folder: Path, template: str, *messages: Message, **variables: object) -> str:
    tokenizer = write_template_tokenizer(folder, template)
    ids = tokenizer.render(messages, template_kwargs=variables)
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


def test_a_template_without_names_gets_them_in_the_text(tmp_path: Path) -> None:
    assert rendered(tmp_path, PLAIN, ADA) == "user: Ada: Hello!\n"


def test_a_template_with_names_shows_them_itself(tmp_path: Path) -> None:
    assert rendered(tmp_path, NAMED, ADA) == "Ada> Hello!\n"


def test_a_message_without_a_name_stays(tmp_path: Path) -> None:
    assert rendered(tmp_path, PLAIN, Message("user", "Hello!")) == "user: Hello!\n"


def test_a_variable_reaches_the_template(tmp_path: Path) -> None:
    text = rendered(tmp_path, THINKING, Message("user", "Hi"), thinking="first")
    assert text == "user: Hi\n<think>first"


def test_a_variable_makes_no_control_token(tmp_path: Path) -> None:
    tokenizer = write_template_tokenizer(tmp_path, THINKING)
    ids = tokenizer.render([ADA], template_kwargs={"thinking": "<|end|>"})
    assert not tokenizer.end_ids.intersection(ids)


@pytest.mark.parametrize("name", ["messages", "tools", "chat_template", "tokenize"])
def test_what_other_fields_say_is_no_variable(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} cannot be set this way"):
        rendered(tmp_path, PLAIN, ADA, **{name: "x"})


def test_equal_tools_are_rendered_as_written(tmp_path: Path) -> None:
    tokenizer = write_template_tokenizer(tmp_path, "{{ tools | tojson }}")
    lamp, switch = (Tool("lamp", parameters={"const": value}) for value in (1, True))
    assert lamp == switch
    first, second = (tokenizer.render([ADA], [tool]) for tool in (lamp, switch))
    assert b'"const": 1' in b"".join(map(tokenizer.token_bytes, first))
    assert b'"const": true' in b"".join(map(tokenizer.token_bytes, second))


def test_truncation_of_a_training_is_forgotten(tmp_path: Path) -> None:
    whole = write_template_tokenizer(tmp_path, PLAIN).render([Message("user", "long " * 50)])
    file = tmp_path / "tokenizer.json"
    saved = Tokenizer.from_file(str(file))
    saved.enable_truncation(16)
    saved.enable_padding(length=64)
    saved.save(str(file))
    assert TemplateTokenizer(tmp_path).render([Message("user", "long " * 50)]) == whole
