"""OpenAI's evals and promptfoo's configuration become sweeps, or say what they cannot."""

import json
from pathlib import Path

import pytest
from openai.types.eval_create_params import EvalCreateParams
from openai.types.evals.create_eval_completions_run_data_source_param import (
    CreateEvalCompletionsRunDataSourceParam,
)

from playground.errors import InvalidRequest
from playground.lab.sweeps.definition import Sweep
from playground.lab.sweeps.files import SweepFiles, parse_object
from playground.lab.sweeps.importing import sweep_of
from playground.lab.sweeps.reading import Sources

EVAL: EvalCreateParams = {
    "name": "capitals",
    "data_source_config": {
        "type": "custom",
        "item_schema": {"type": "object", "properties": {"q": {"type": "string"}}},
    },
    "testing_criteria": [
        {"type": "string_check", "name": "match", "input": "{{ sample.output_text }}",
         "operation": "ilike", "reference": "{{ item.a }}"},
        {"type": "string_check", "name": "field", "input": "{{sample.output_json.city}}",
         "operation": "eq", "reference": "{{ item.a }}"},
        {"type": "text_similarity", "name": "near", "input": "{{sample.output_text}}",
         "reference": "{{item.a}}", "evaluation_metric": "fuzzy_match", "pass_threshold": 0.8},
        {"type": "score_model", "name": "grade", "model": "gpt-5", "range": [1, 5],
         "pass_threshold": 4,
         "input": [{"role": "user", "content": "Right for {{item.q}}? {{sample.output_text}}"}]},
    ],
}  # fmt: skip
RUN: CreateEvalCompletionsRunDataSourceParam = {
    "type": "completions",
    "model": "embedded",
    "input_messages": {
        "type": "template",
        "template": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "{{ item.q }}"},
        ],
    },
    "source": {"type": "file_content", "content": [{"item": {"q": "France?", "a": "Paris"}}]},
    "sampling_params": {"temperature": 0, "max_completion_tokens": 9},
}


def read(body: object) -> Sweep:
    return sweep_of(json.loads(json.dumps(body)), Sources())


def test_openai_eval_with_run() -> None:
    sweep = read({**EVAL, "run": {"data_source": RUN}})
    (prompt,) = sweep.prompts
    assert [(each.role, each.content) for each in prompt.messages] == [
        ("system", "Be brief."),
        ("user", "{{ item.q }}"),
    ]
    assert (sweep.models, sweep.settings) == (("embedded",), ({"temperature": 0, "max_tokens": 9},))
    kinds = [(grader.type, grader.threshold) for grader in sweep.graders]
    assert kinds == [("contains", None), ("field", None), ("similarity", 0.8), ("rubric", 0.75)]
    assert "this server's judge" in sweep.notes[0]


@pytest.mark.parametrize(
    ("criterion", "error"),
    [
        ({"type": "label_model"}, r"testing_criteria\[0\].type: 'label_model' is not supported"),
        ({"type": "python", "source": "def grade()"}, "'python' is not supported"),
        ({"type": "string_check", "operation": "near"}, "operation: 'near' is none of eq, ne"),
        ({"type": "string_check", "operation": "eq", "input": "{{item.q}}"}, "only the answer"),
        ({"type": "text_similarity", "input": "{{sample.output_text}}",
          "evaluation_metric": "bleu"}, "'bleu' is none of"),
    ],
)  # fmt: skip
def test_openai_grader_is_refused_by_name(criterion: dict[str, str], error: str) -> None:
    with pytest.raises(InvalidRequest, match=error):
        read({**EVAL, "testing_criteria": [criterion], "data_source": RUN})


def test_openai_item_breaks_its_schema() -> None:
    source = {"type": "file_content", "content": [{"item": {"q": 3, "a": ""}}]}
    with pytest.raises(InvalidRequest, match="row 1 does not fit the item schema"):
        read({**EVAL, "data_source": {**RUN, "source": source}})


PROMPTFOO = """
description: Translations
prompts:
  - "Translate to {{ language }}: {{ input }}"
  - file://chat.json
providers:
  - id: openai:chat:embedded
    config: {temperature: 0.2, max_tokens: 9, apiKey: none}
defaultTest:
  vars: {tone: polite}
  assert: [{type: latency, threshold: 9000}]
tests:
  - vars: {language: [French, German], input: Hello}
    assert:
      - {type: not-icontains, value: "{{ language }}", weight: 2}
      - {type: is-json, value: {type: object}}
      - {type: similar, value: Bonjour, threshold: 0.6}
  - vars: {language: Dutch, input: file://text.txt}
    assert: [{type: llm-rubric, value: "Is it Dutch?"}, {type: equals, value: Hallo, metric: same}]
  - file://more.csv
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chat.json").write_text('[{"role": "user", "content": "{{ input }}, {{ tone }}"}]')
    (tmp_path / "text.txt").write_text("Good day\n")
    (tmp_path / "more.csv").write_text('language,input,__expected\nIrish,Hi,"contains: Dia, ok"\n')
    return tmp_path


def test_promptfoo_becomes_a_sweep(folder: Path) -> None:
    sweep = sweep_of(parse_object(PROMPTFOO, "file"), Sources(), SweepFiles(folder))
    assert [prompt.name for prompt in sweep.prompts] == ["prompt 1", "chat"]
    assert sweep.settings == ({"temperature": 0.2, "max_tokens": 9},)
    assert [row.variables["language"] for row in sweep.rows] == [
        "French", "German", "Dutch", "Irish",
    ]  # fmt: skip
    assert sweep.rows[2].variables["input"] == "Good day"
    assert [grader.name for grader in sweep.graders] == ["latency"]
    kinds = [(each.type, each.name, each.negate) for each in sweep.rows[0].graders]
    assert kinds == [
        ("contains", "not-icontains", True),
        ("json_schema", "is-json", False),
        ("similarity", "similar", False),
    ]
    assert [each.name for each in sweep.rows[2].graders] == ["llm-rubric", "same"]
    assert sweep.rows[3].graders[0].params["value"] == "Dia, ok"
    assert any("apiKey" in note for note in sweep.notes)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("assert: [{type: javascript, value: x}]", r"assert\[0\].type: javascript is refused"),
        ("assert: [{type: not-python, value: x}]", "not-python is refused"),
        ("assert: [{type: bleu, value: x}]", "'bleu' is not supported; these are: equals"),
        ("assert: [{type: cost}]", "cost needs it"),
        ("assert: [{type: equals, value: 'file://x.js'}]", "programs are not run"),
        ("options: {transform: x}", r"tests\[0\].options: is not supported"),
    ],
)
def test_promptfoo_test_is_refused_by_name(text: str, error: str) -> None:
    config = f"providers: [embedded]\nprompts: [Hi]\ntests: [{{vars: {{a: b}}, {text}}}]"
    with pytest.raises(InvalidRequest, match=error):
        sweep_of(parse_object(config, "file"), Sources())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("providers: ['file://x.py']\ntests: []", "models served here are asked"),
        ("providers: [a]\nprompts: ['file://x.txt']\ntests: []", "by `playground sweep` only"),
        ("providers: [a]\nprompts: [x]\ntests: []\nscenarios: []", "scenarios: is not supported"),
        ("a: [1\nb: 2", "line 2, column 2"),
        (
            "".join(
                f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
                if a
                else f"{b}: &{b} [1, 1, 1, 1, 1, 1, 1, 1]\n"
                for a, b in zip(("", *"abcdefghij"), "abcdefghijk", strict=True)
            ),
            "its aliases make it too large",
        ),
    ],
)
def test_promptfoo_file_is_refused_by_name(text: str, error: str) -> None:
    with pytest.raises(InvalidRequest, match=error):
        sweep_of(parse_object(text, "file"), Sources())
