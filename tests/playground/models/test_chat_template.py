"""Chat templates as repositories have them: in other files, for other forms of text."""

import json
from pathlib import Path

import pytest

from playground.errors import InvalidRequest, UnsupportedModel
from playground.models.loader import load_tokenizer
from playground.models.template_tokenizer import TemplateTokenizer
from playground.models.tokenizer import ChatTokenizer
from playground.protocol import Message
from tests.playground.models.template_folder import write_template_tokenizer

PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
PARTS = (
    "{% for m in messages %}{{ m.role }}: {% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}"
)
ASKED = [Message("system", "Be brief."), Message("user", "Hi [x]")]


def text_of(tokenizer: ChatTokenizer, ids: list[int]) -> str:
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


def test_template_of_parts_gets_parts(tmp_path: Path) -> None:
    tokenizer = write_template_tokenizer(tmp_path, PARTS)
    assert text_of(tokenizer, tokenizer.render(ASKED)) == "system: Be brief.\nuser: Hi [x]\n"
    answer = tokenizer.render_answer(Message("assistant", "Hello"), ASKED)
    assert text_of(tokenizer, answer) == "assistant: Hello\n"
    going_on = tokenizer.render([*ASKED, Message("assistant", "Hel")], continue_final=True)
    assert text_of(tokenizer, going_on).endswith("assistant: Hel")


def test_template_of_a_processor_is_read(tmp_path: Path) -> None:
    write_template_tokenizer(tmp_path, PLAIN)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(InvalidRequest, match="no chat template"):
        TemplateTokenizer(tmp_path).render(ASKED)
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": PLAIN}))
    tokenizer = TemplateTokenizer(tmp_path)
    assert text_of(tokenizer, tokenizer.render(ASKED)) == "system: Be brief.\nuser: Hi [x]\n"


@pytest.mark.parametrize("content", ["{", "[]", '{"chat_template": 1}'])
def test_broken_template_of_a_processor_is_none(tmp_path: Path, content: str) -> None:
    write_template_tokenizer(tmp_path, PLAIN)
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "chat_template.json").write_text(content)
    with pytest.raises(InvalidRequest, match="no chat template"):
        TemplateTokenizer(tmp_path).render(ASKED)


@pytest.mark.parametrize("content", ["{", "[]", "1"])
def test_broken_generation_config_is_named(tmp_path: Path, content: str) -> None:
    write_template_tokenizer(tmp_path, PLAIN)
    (tmp_path / "generation_config.json").write_text(content)
    with pytest.raises(UnsupportedModel, match="generation_config"):
        load_tokenizer(tmp_path)
