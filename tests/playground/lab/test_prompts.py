"""Prompts: versions that never change, labels, variables, templates within limits, files."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.errors import Conflict, InvalidRequest, UnknownPrompt
from playground.lab.prompt_content import PromptContent, content_of, verbatim
from playground.lab.prompt_files import export_prompts, import_prompts
from playground.lab.prompt_templates import render_template
from playground.lab.prompts import Prompts, diff_lines, rendered, unified_diff
from playground.protocol import Message

GREETING = {"messages": [{"role": "user", "content": "Greet {{ name }} in {{ language }}."}]}
TYPED = {
    "messages": [{"role": "user", "content": "{{ v }}"}],
    "variables": [{"name": "v", "type": "text"}],
}


@pytest.fixture
def prompts(tmp_path: Path) -> Iterator[Prompts]:
    opened = Prompts(tmp_path)
    yield opened
    opened.close()


def content(text: str = "Hi", **rest: object) -> PromptContent:
    return PromptContent.from_json({"messages": [{"role": "user", "content": text}], **rest})


def typed(kind: str, **rest: object) -> PromptContent:
    return content("{{ v }}", variables=[{"name": "v", "type": kind, **rest}])


def text_of(which: PromptContent, **values: object) -> str:
    return rendered(which, values)[0].content


def test_versions_are_numbered_and_immutable(prompts: Prompts) -> None:
    first = prompts.create("greet", content("One"), "Begin", ["a", "a", " b "])
    second = prompts.save("greet", content("Two"), "Say two")
    assert (first.number, second.number, second.message) == (1, 2, "Say two")
    assert prompts.version("greet", 1) == first
    assert prompts.find(first.prompt_id).tags == ("a", "b")
    with pytest.raises(InvalidRequest, match="nothing changed"):
        prompts.save("greet", content("Two"))


def test_prompts_survive_restart(tmp_path: Path) -> None:
    before = Prompts(tmp_path)
    kept = before.create("greet", typed("choice", choices=["a", "b"], default="b"))
    before.close()
    after = Prompts(tmp_path)
    assert after.version("greet") == kept
    after.close()


def test_reference_without_version_is_production(prompts: Prompts) -> None:
    prompts.create("greet", content("One"))
    prompts.save("greet", content("Two"))
    assert prompts.version("greet").number == 2
    prompts.label("greet", "production", 1)
    assert prompts.version("greet").number == 1
    assert prompts.version("greet", "latest").number == 2
    assert prompts.version("greet", "1").labels == ("production",)
    prompts.label("greet", "production", "latest")
    assert prompts.find("greet").labels == {"production": 2}
    assert prompts.remove_label("greet", "production").labels == {}


@pytest.mark.parametrize(
    ("version", "said"), [(7, "versions 1 to 2"), ("prod", "labels beta"), ("9" * 40, "no version")]
)
def test_unknown_version_lists_known(prompts: Prompts, version: int | str, said: str) -> None:
    prompts.create("greet", content("One"))
    prompts.save("greet", content("Two"))
    prompts.label("greet", "beta", 1)
    with pytest.raises(UnknownPrompt, match=said):
        prompts.version("greet", version)


def test_unknown_prompt_is_named(prompts: Prompts) -> None:
    with pytest.raises(UnknownPrompt, match="'nothing'"):
        prompts.find("nothing")


def test_taken_name_is_refused(prompts: Prompts) -> None:
    prompts.create("greet", content("One"))
    prompts.create("other", content("One"))
    with pytest.raises(Conflict, match="'greet' exists"):
        prompts.create("greet", content("Two"))
    with pytest.raises(Conflict, match="'greet' exists"):
        prompts.change("other", name="greet")
    assert prompts.change("other", name="third", tags=["x"]).tags == ("x",)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "-a", "pmpt_1", "x" * 200, "a\n"])
def test_bad_name_is_refused(prompts: Prompts, name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        prompts.create(name, content())


@pytest.mark.parametrize("label", ["", "latest", "Prod", "1", "a b"])
def test_bad_label_is_refused(prompts: Prompts, label: str) -> None:
    prompts.create("greet", content())
    with pytest.raises(InvalidRequest, match="label"):
        prompts.label("greet", label, 1)


def test_deleted_prompt_is_gone(prompts: Prompts) -> None:
    prompts.create("greet", content())
    prompts.label("greet", "production", 1)
    prompts.delete("greet")
    assert prompts.all() == []


WRITER = """
import sys, pathlib
from playground.lab.prompt_content import PromptContent
from playground.lab.prompts import Prompts
prompts = Prompts(pathlib.Path(sys.argv[1]))
for number in range(30):
    text = f"{sys.argv[2]} {number}"
    content = {"messages": [{"role": "user", "content": text}]}
    prompts.save("shared", PromptContent.from_json(content))
"""


@pytest.mark.slow
def test_two_processes_lose_no_version(tmp_path: Path) -> None:
    prompts = Prompts(tmp_path)
    prompts.create("shared", content("first"))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    versions = prompts.find("shared").versions
    assert [version.number for version in versions] == list(range(1, 62))
    prompts.close()


def test_used_variable_is_found() -> None:
    found = PromptContent.from_json(GREETING)
    assert [(each.name, each.type) for each in found.variables] == [
        ("name", "text"),
        ("language", "text"),
    ]
    assert text_of(found, name="Ann", language="Dutch") == "Greet Ann in Dutch."


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("text", "a {{ b }}", "a {{ b }}"),
        ("text", 3, "3"),
        ("long_text", "a\nb", "a\nb"),
        ("number", "2.50", "2.5"),
        ("number", 3.0, "3"),
        ("date", "2026-11-30", "2026-11-30"),
        ("file", "lines\nof a file", "lines\nof a file"),
    ],
)
def test_typed_value_is_rendered(kind: str, value: object, text: str) -> None:
    assert text_of(typed(kind), v=value) == text


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("text", ["a"], "must be text, not a list"),
        ("text", True, "must be text, not a truth value"),
        ("number", "many", "'many' is not a number"),
        ("number", "nan", "out of range"),
        ("number", True, "must be a number"),
        ("date", "30.11.2026", "not a date"),
        ("file", {}, "must be text, not an object"),
        ("long_text", "x" * 1_000_001, "more than 1,000,000"),
    ],
)
def test_wrong_value_names_variable(kind: str, value: object, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        rendered(typed(kind), {"v": value})
    assert caught.value.field == "variables.v"


def test_choice_is_one_of_its_own() -> None:
    choice = typed("choice", choices=["mild", "hot"], default="hot")
    assert text_of(choice) == "hot"
    assert text_of(choice, v="mild") == "mild"
    with pytest.raises(InvalidRequest, match="none of mild, hot"):
        rendered(choice, {"v": "cold"})


@pytest.mark.parametrize(
    ("values", "field"), [({}, "variables.v"), ({"v": "a", "w": "b"}, "variables.w")]
)
def test_missing_or_unknown_variable_is_named(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(typed("text"), values)
    assert caught.value.field == field


def test_values_are_never_templates() -> None:
    assert text_of(typed("text"), v="{{ 7*7 }}") == "{{ 7*7 }}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "{% if %}"}]}, "messages[0].content"),
        ({"variables": [{"name": "a b"}]}, "variables[0].name"),
        ({"variables": [{"name": "a", "type": "colour"}]}, "variables[0].type"),
        ({"variables": [{"name": "a", "type": "choice"}]}, "variables[0].choices"),
        ({"variables": [{"name": "a"}, {"name": "a"}]}, "variables[1].name"),
        ({"variables": [{"name": "a", "type": "number", "default": "x"}]}, "variables[0].default"),
        ({"sampling": {"heat": 1}}, "sampling.heat"),
        ({"sampling": {"temperature": 9}}, "sampling.temperature"),
        ({"sampling": {"stop": 5}}, "sampling.stop"),
        ({"sampling": {"logit_bias": [1]}}, "sampling.logit_bias"),
        ({"sampling": {"logit_bias": {"a": 1}}}, "sampling.logit_bias"),
        ({"schema": "x"}, "schema"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"colour": 1}, "colour"),
    ],
)
def test_bad_content_names_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        PromptContent.from_json({"messages": [{"role": "user", "content": "x"}], **changes})
    assert caught.value.field == field


def test_request_has_all_that_belongs(prompts: Prompts) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    version = prompts.create(
        "order",
        content(
            "Read {{ text }}",
            model="own",
            sampling={"temperature": 0.1, "stop": ["END"]},
            schema={"type": "object"},
            tools=[tool],
        ),
    )
    request = version.request({"text": "it"}, sampling={"seed": 4})
    assert (request.model, request.messages[0].content) == ("own", "Read it")
    chosen = request.sampling
    assert (chosen.temperature, chosen.stop, chosen.seed) == (0.1, ("END",), 4)
    assert request.response_format is not None
    assert [each.name for each in request.tools] == ["look_up"]
    assert version.request({"text": "it"}, model="other").model == "other"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "turns"),
        ("{{ 9 ** 9 ** 9 }}", "numbers up to"),
        ("{{ 'a' * 10**9 }}", "takes numbers"),
        ("{{ '%999999999s' % 1 }}", "takes numbers"),
        ("{{ x ~ x ~ x ~ x ~ x }}", "characters"),
        ("{{ x|replace('x', x) }}", "characters"),
        ("{{ range(100000)|join(x) }}", "characters"),
        ("{{ x }}{{ x }}{{ x }}{{ x }}{{ x }}", "characters"),
        ("{{ ().__class__ }}", "unsafe"),
        ("{{ x.format(1) }}", "only range"),
        ("{{ x|center(9999999999) }}", "No filter named 'center'"),
        ("{% include 'a' %}", "'include' is not supported"),
        ("{% set y = 1 %}", "'assign' is not supported"),
        ("{{ __budget }}", "begins with a letter"),
        ("{{ " + "(" * 3000 + ")" * 3000 + " }}", "nested too deep"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("one\n{{ y", "line 2"),
    ],
)
def test_template_beyond_limits_is_refused(template: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        render_template(template, {"x": "x" * 1_000_000}, "messages[0].content")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Say {{ broken", "line 1: `{{` is not closed with `}}`"),
        ("Hi {{ name, how are you?", "line 1: `{{` is not closed with `}}`"),
        ("{{ a }}\n{{ b and {{ c }}", "line 2: `{{` is not closed with `}}`"),
        ("\n{% if a", "line 2: `{%` is not closed with `%}`"),
        ("{# a", "line 1: `{#` is not closed with `#}`"),
        ("{{ '{{' }} {{ a b }}", "line 1: expected token 'end of print statement', got 'b'"),
    ],
)
def test_unclosed_mark_is_named(template: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        content(template)
    assert caught.value.problem == said


@pytest.mark.slow
def test_slow_template_is_ended() -> None:
    slow = "{% for i in range(99999) %}{{ x|replace('y', 'z')|length }}{% endfor %}"
    with pytest.raises(InvalidRequest, match="longer than 1 s"):
        render_template(slow, {"x": "x" * 1_000_000}, "messages[0].content")


def test_template_has_loops_and_conditions() -> None:
    template = (
        "{% for i in range(3) %}{{ loop.index }}{% if not loop.last %}, {% endif %}{% endfor %}"
    )
    assert render_template(template, {}, "") == "1, 2, 3"
    assert render_template("{{ x|upper ~ (1 + 2) ~ '!' }}", {"x": "a"}, "") == "A3!"


@pytest.mark.parametrize("text", ["{{ x }}", "{% raw %}", "{# c #}", "{{{", "a {b}", "}}{{"])
def test_conversation_is_kept_verbatim(text: str) -> None:
    assert render_template(verbatim(text), {}, "") == text
    assert rendered(content_of([Message("user", text)]), {})[0].content == text


def test_diff_shows_what_changed(prompts: Prompts) -> None:
    old = prompts.create("greet", content("Be brief.\nSay <b>."))
    new = prompts.save("greet", content("Be brief.\nSay <i>.", sampling={"temperature": 0.5}))
    lines = diff_lines(old, new)
    assert [line.kind for line in lines if "Be brief" in line.old] == ["same"]
    (changed,) = [line for line in lines if "<b>" in line.old]
    assert (changed.kind, "<i>" in changed.new) == ("changed", True)
    assert "+sampling:" in unified_diff(old, new).splitlines()
    assert unified_diff(old, old) == ""


def test_exported_prompts_are_imported(prompts: Prompts, tmp_path: Path) -> None:
    prompts.create("one", content("A\n  {{ b }}: é 😀"), "First: it", ["t"])
    prompts.save("one", typed("number", default=2), "Second")
    prompts.label("one", "production", 1)
    prompts.create("two", content("yes"))
    text = export_prompts(prompts.all())
    other = Prompts(tmp_path / "other")
    assert [(each.name, each.added) for each in import_prompts(other, text)] == [
        ("one", (1, 2)),
        ("two", (1,)),
    ]
    assert export_prompts(other.all()) == text
    assert all(not each.added for each in import_prompts(other, text))  # nothing twice
    other.close()


def test_import_adds_unknown_versions(prompts: Prompts) -> None:
    prompts.create("one", content("mine"))
    text = "name: one\nlabels: {beta: 1}\nversions:\n- messages: [{role: user, content: theirs}]\n"
    (imported,) = import_prompts(prompts, text)
    assert (imported.created, imported.added) == (False, (2,))
    assert prompts.find("one").labels == {"beta": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "line 4, column 8"),
        ("a: &a x\nb: *a", "line 5: aliases"),
        ("- 1", "name and versions"),
        ("name: a", "versions: must be a list"),
        ("name: a\nversions: [{messages: [{role: user, content: 3}]}]", r"versions\[0\].messages"),
        ("name: a\nlabels: {x: 2}\nversions: [{messages: [{role: user, content: a}]}]", "labels"),
        ("colour: red", "colour: is not known"),
        ("", "holds no prompt"),
    ],
)
def test_broken_file_stores_nothing(prompts: Prompts, text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        import_prompts(
            prompts,
            f"name: good\nversions: [{{messages: [{{role: user, content: a}}]}}]\n---\n{text}"
            if text
            else "",
        )
    assert prompts.all() == []
