"""Prompts on the page: the tab's handlers and the chat's, without a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.errors import Conflict, InvalidRequest
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts
from playground.protocol import Request
from playground.ui.chat.prompts import ChatPromptHandlers
from playground.ui.components.binding import UNCHANGED
from playground.ui.components.messages import text_of, turn
from playground.ui.components.sampling import control_values
from playground.ui.prompts.editor import EMPTY, EditorForm, content_of_form, form_of_content
from playground.ui.prompts.events import PromptHandlers
from playground.ui.prompts.inputs import values_of
from tests.playground.ui.helpers import changed, drain, page_request, scripted

FORM = EditorForm(
    **EMPTY | {
        "system": "Answer {{ style }}.",
        "user": "Hi {{ name }}",
        "variables": "- name: style\n  type: choice\n  choices: [long, short]\n  default: short\n",
        "sampling": "temperature: 0.1\nseed: 3\n",
    }
)  # fmt: skip
FULL = PromptContent.from_json(
    {
        "messages": [
            {"role": "system", "content": "S {{ a }}"},
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": "Two {{ b }}\n"},
        ],
        "variables": [{"name": "a", "type": "number", "default": 2}],
        "model": "other",
        "sampling": {"top_k": 4, "stop": ["a\n"]},
        "schema": {"type": "object"},
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
)


@pytest.fixture
def prompts(tmp_path: Path) -> Iterator[Prompts]:
    opened = Prompts(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def seen() -> list[Request]:
    return []


@pytest.fixture
def tab(prompts: Prompts, seen: list[Request]) -> PromptHandlers:
    def script(request: Request) -> list[str]:
        seen.append(request)
        return ["Hel", "lo <b>"]

    return PromptHandlers(prompts, scripted(script, "scripted", "other"), needs_key=False)


@pytest.fixture
def chat(tab: PromptHandlers) -> ChatPromptHandlers:
    return ChatPromptHandlers(tab.prompts, tab.answering)


def test_editor_gives_content_back() -> None:
    assert content_of_form(form_of_content(FULL)) == FULL


def test_saved_editor_is_opened(tab: PromptHandlers) -> None:
    first = tab.save(None, "greet", "a, b", "First", **FORM)
    assert (changed(first.prompt).value, changed(first.version).value) == ("greet", 1)
    assert first.diff == ""
    second = tab.save("greet", "greet", "a", "Second", **FORM | {"user": "Hey <b>{{ name }}"})
    assert changed(second.version).value == 2
    assert "Hey &lt;b&gt;" in str(second.diff)
    assert tab.prompts.find("greet").tags == ("a",)
    assert changed(tab.choose_version("greet", 1).form)["user"] == "Hi {{ name }}"


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("user", "{{ name", "message: line 1"),
        ("variables", "- {", "variables: line 1, column"),
        ("variables", "- name: a\n  type: colour", "variables[0].type"),
        ("sampling", "temperature: 9", "sampling.temperature"),
        ("schema", "[1]", "schema: must be an object"),
        ("others", "a: 1", "more messages"),
        ("system", "As {{ who", "system prompt: line 1"),
        ("tools", "- &a {}\n- *a", "aliases"),
    ],
)
def test_bad_field_is_named_and_nothing_saved(
    tab: PromptHandlers, field: str, text: str, said: str
) -> None:
    form = EditorForm(**FORM | {field: text})  # type: ignore[typeddict-item]
    with pytest.raises(InvalidRequest) as caught:
        tab.save(None, "greet", "", "", **form)
    assert said in caught.value.message
    assert tab.prompts.all() == []
    assert "bad" in str(tab.check({}, **form).problem)


def test_used_variables_are_described(tab: PromptHandlers) -> None:
    update = tab.check({}, **FORM)
    assert "- name: name\n  type: text" in changed(update.form)["variables"]
    again = tab.check(changed(update.tried), **FORM)
    assert again.tried is UNCHANGED  # what was typed into the inputs stays


@pytest.mark.parametrize("user", ["", "Hello."])
def test_a_text_without_variables_wires_nothing_anew(tab: PromptHandlers, user: str) -> None:
    """The click on Run comes right after the field was left; it was lost."""
    plain = FORM | {"system": "", "user": user, "variables": ""}
    assert tab.check({}, **plain).tried is UNCHANGED


async def test_editor_is_tried(tab: PromptHandlers, seen: list[Request]) -> None:
    updates = await drain(tab.run("other", "long", "Ann", **FORM))
    assert updates[-1].running == ""
    assert "tokens" in str(updates[-1].note)
    assert [message.content for message in seen[0].messages] == ["Answer long.", "Hi Ann"]
    assert (seen[0].model, seen[0].sampling.seed) == ("other", 3)
    with pytest.raises(InvalidRequest, match="name: is missing"):
        await drain(tab.run("other", "long", None, **FORM))


async def test_empty_fields_of_variables_are_refused(
    tab: PromptHandlers, seen: list[Request]
) -> None:
    form = EditorForm(**EMPTY | {"user": "{{ who }} {{ what }}"})
    with pytest.raises(InvalidRequest) as caught:
        await drain(tab.run("other", "", "", **form))
    said = "variables.who: is missing; the prompt needs it (text), as well as what"
    assert (caught.value.message, seen) == (said, [])


async def test_an_empty_field_means_the_default(tab: PromptHandlers, seen: list[Request]) -> None:
    variables = "- name: who\n  default: Ann\n- name: what\n  default: ''\n"
    texts = {"user": "Hi {{ who }}{{ what }}", "variables": variables}
    form = EditorForm(**EMPTY | texts)  # type: ignore[typeddict-item]
    await drain(tab.run("other", "", "", **form))
    assert seen[0].messages[0].content == "Hi Ann"


async def test_editor_is_shown_as_code(tab: PromptHandlers) -> None:
    update = await tab.code(page_request(), "other", "long", "Ann", **FORM)
    assert '"Hi Ann"' in str(update.python)
    assert "name: my-prompt" in str(update.yaml)


def test_link_opens_its_version(tab: PromptHandlers) -> None:
    tab.save(None, "greet", "", "", **FORM)
    tab.save("greet", "greet", "", "", **FORM | {"user": "Hey"})
    opened = tab.open_link("?prompt=greet&version=1")
    assert changed(opened.version).value == 1
    assert changed(opened.tabs).selected == "prompts"
    assert tab.open_link("").tabs is UNCHANGED


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("?prompt=%3Cb%3E", "&#39;&lt;b&gt;&#39;"),
        ("?prompt=greet&version=9", "version 1"),
    ],
)
def test_link_to_nothing_says_so(tab: PromptHandlers, link: str, said: str) -> None:
    tab.save(None, "greet", "", "", **FORM)
    assert said in str(tab.open_link(link).about)


def test_label_moves_to_version(tab: PromptHandlers) -> None:
    tab.save(None, "greet", "", "", **FORM)
    assert "production" in str(tab.set_label("greet", 1, "production").about)
    assert tab.prompts.find("greet").labels == {"production": 1}
    tab.remove_label("greet", 1, "production")
    assert tab.prompts.find("greet").labels == {}
    with pytest.raises(InvalidRequest, match="choose one"):
        tab.set_label(None, None, "production")


def test_file_is_offered_and_imported(tab: PromptHandlers) -> None:
    tab.save(None, "greet", "", "Begin", **FORM)
    path = changed(tab.offer_file("greet").export).value["path"]
    tab.delete("greet")
    assert changed(tab.import_file(path).prompt).value == "greet"
    assert tab.prompts.version("greet").message == "Begin"


def test_file_variable_is_read(tmp_path: Path) -> None:
    content = PromptContent.from_json(
        {
            "messages": [{"role": "user", "content": "{{ doc }}"}],
            "variables": [{"name": "doc", "type": "file"}],
        }
    )
    file = tmp_path / "a.txt"
    file.write_text("é")
    assert values_of(content, [str(file)]) == {"doc": "é"}
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match="UTF-8"):
        values_of(content, [str(file)])


async def test_prompt_fills_the_chat(chat: ChatPromptHandlers) -> None:
    chat.prompts.create("full", FULL, "All")
    panel = chat.open("full")
    assert "schema and tools" in str(panel.about)
    values = control_values((await chat.answering.model(None)).defaults)
    history = [turn("user", "before")]
    update = await chat.insert(
        changed(panel.content), history, "scripted", "full", 1, "5", "x", **values
    )
    assert (update.model, update.system, update.message) == ("other", "S 5", "Two x\n")
    texts = [text_of(each["content"]) for each in changed(update.chatbot)]
    assert texts == ["before", "One", "1"]
    assert update.prompt == "full@1"
    assert update.sampling["top_k"] == 4
    assert update.sampling["stop"] == "a\\n"


def test_slash_offers_stored_prompts(chat: ChatPromptHandlers) -> None:
    with pytest.raises(InvalidRequest, match="none is stored"):
        chat.open(None)
    chat.prompts.create("full", FULL, "All <b>")
    names = chat.list_names().names
    assert 'data-name="full"' in names
    assert "All &lt;b&gt;" in names
    assert changed(chat.open("").prompt).value == "full"


async def test_chat_is_saved_as_prompt(chat: ChatPromptHandlers) -> None:
    values = control_values((await chat.answering.model(None)).defaults) | {"seed": 5}
    history = [turn("user", "Hi {{ name }}"), turn("assistant", "Hello")]
    chat.save("mine", "First", history, "", "other", "{% odd", **values)
    chat.save("mine", "Second", history, "Next", "other", "", **values)
    first = chat.prompts.version("mine", 1)
    assert [message.content for message in first.messages({"name": "Ann"})] == ["{% odd", "Hi Ann"]
    assert first.content.sampling["seed"] == 5
    assert chat.prompts.version("mine").content.messages[0].content == "Next"


def test_renaming_keeps_versions_and_text(tab: PromptHandlers) -> None:
    tab.save(None, "greet", "", "First", **FORM)
    tab.save("greet", "greet", "", "Second", **FORM | {"user": "Hey {{ name }}"})
    update = tab.rename("greet", 1, " welcome ")
    assert (changed(update.prompt).value, changed(update.version).value) == ("welcome", 1)
    assert update.opened == "welcome@1"
    assert update.form is UNCHANGED
    assert not tab.prompts.exists("greet")
    assert len(tab.prompts.find("welcome").versions) == 2
    tab.save(None, "other", "", "", **FORM)
    with pytest.raises(Conflict, match="welcome"):
        tab.rename("other", 1, "welcome")
    with pytest.raises(InvalidRequest, match="choose one"):
        tab.rename(None, None, "welcome")


def test_a_reload_leaves_the_editor_alone(tab: PromptHandlers) -> None:
    tab.save(None, "greet", "", "First", **FORM)
    update = tab.restore("greet@1")
    assert (changed(update.prompt).value, changed(update.version).value) == ("greet", 1)
    assert (update.form, update.name, update.tried) == (UNCHANGED,) * 3
    assert tab.open_link("?prompt=greet", "greet@1").form is UNCHANGED
    assert changed(tab.open_link("?prompt=greet").form)["user"] == FORM["user"]
    gone = tab.restore("deleted@4")
    assert (changed(gone.prompt).value, gone.form, gone.opened) == (None, UNCHANGED, "")


def test_chat_hands_over_what_it_leaves_out(tab: PromptHandlers, chat: ChatPromptHandlers) -> None:
    tab.prompts.create("full", FULL)
    tab.save(None, "plain", "", "", **FORM)
    panel = chat.choose("full")
    assert "leaves out its schema and tools" in str(panel.about)
    assert changed(panel.elsewhere).visible
    assert not changed(chat.choose("plain").elsewhere).visible
    opened = tab.open_elsewhere("full", 1)
    assert content_of_form(changed(opened.form)) == FULL
    assert changed(opened.tabs).selected == "prompts"
