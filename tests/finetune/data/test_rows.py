"""Files of rows: every line is either a conversation or an error that says what to fix."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.rows import read_rows

GOOD: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
}


def write(path: Path, *lines: Any) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (GOOD, "messages"),
        ({"prompt": "Hi", "completion": "Hello!"}, "prompt and completion"),
        ({"instruction": "Say", "input": "hi", "output": "Hello!"}, "alpaca"),
        (
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
            "sharegpt",
        ),
    ],
)
def test_known_format_is_recognised(tmp_path: Path, row: dict[str, Any], kind: str) -> None:
    read = read_rows(write(tmp_path / "rows.jsonl", row))
    assert read.formats == {kind: 1}
    assert [m.role for m in read.conversations[0].messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ('{"messages": [', "line", "not JSON"),
        ("[1, 2]", "line", "not a JSON object"),
        ('{"messages": []}', "messages", "not empty"),
        ('{"words": "x"}', "line", "none of the known fields"),
        ('{"prompt": "x"}', "line", "has prompt, but no completion: it is missing or empty"),
        ('{"prompt": "x", "answer": "y"}', "line", "set columns to answer=completion"),
        ('{"output": "x"}', "line", "has output, but no instruction"),
        ('{"prompt": "x", "completion": NaN}', "line", "NaN"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages", "nothing to learn"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role", "boss"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "call"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f",
             "arguments": "{"}}]}]},
            "messages[0].tool_calls",
            "not JSON",
        ),
        ({**GOOD, "tools": [{"function": {}}]}, "tools[0].function", "name"),
    ],
)  # fmt: skip
def test_error_names_line_and_field(tmp_path: Path, line: Any, field: str, words: str) -> None:
    read = read_rows(write(tmp_path / "rows.jsonl", GOOD, line, GOOD))
    assert len(read.conversations) == 2
    (error,) = read.errors
    assert (error.line, error.field) == (2, field)
    assert words in error.problem


def test_bom_and_empty_lines_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\n\n  \n")
    read = read_rows(path)
    assert (len(read.conversations), read.errors) == (1, ())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("role", "content", "messages", "tools", "x")), inner)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, cut=st.integers(0, 60), flip=st.integers(0, 255))
def test_no_line_is_lost(tmp_path: Path, value: Any, cut: int, flip: int) -> None:
    mutated = json.dumps(GOOD).encode()
    mutated = mutated[:cut] + bytes([flip]) + mutated[cut + 1 :]
    lines = [json.dumps(value).encode(), mutated.replace(b"\n", b" "), json.dumps(GOOD).encode()]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    read = read_rows(path)
    empty = sum(not line.strip() for line in lines)
    assert len(read.conversations) + len(read.errors) == len(lines) - empty
