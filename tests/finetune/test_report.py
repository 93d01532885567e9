"""`finetune check`: reports, fixed copies, previews."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.data.dataset import prepare
from finetune.data.duplicates import find_repeats
from finetune.data.examples import MASKED, TrainingExample
from finetune.data.preview import preview_of, preview_row, spans
from finetune.data.preview_html import html_page
from finetune.data.repair import fix
from finetune.data.rows import read_rows
from finetune.data.split import is_held_out, prompt_text
from finetune.recipe import embedded_cpu
from finetune.report import report
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)
GLAIVE = Path(__file__).parents[1] / "data" / "glaive" / "glaive_toolcall_en_demo.json"
STORY = "the small brown fox goes to the market to buy a basket of apples for its old friend "


def talk(question: str, reply: str) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": reply},
        ]
    }


def write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_report_counts_rows_and_tokens(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl",
        talk("What is the price of the blue lamp?", "It costs five euros."),
        talk("Quel est le prix de la lampe bleue ?", "Elle coûte cinq euros."),
        talk("What is the price of the blue lamp?", "It costs five euros."),
        talk("Tell me: " + STORY, "Yes."),
        talk("Tell me: " + STORY + "!", "Yes."),
        talk("long " * 900, "Yes."),
        "{",
    )
    found = report(prepare([path], TOKENIZER, tmp_path), replace(embedded_cpu(), max_length=400))
    assert (found.rows, found.turns, found.examples, found.num_too_long) == (6, 6, 5, 1)
    assert [error.lines for error in found.errors] == [(7,), (6,)]
    assert [error.code for error in found.errors] == ["unreadable", "too_long"]
    assert found.duplicates == ((("rows.jsonl", 3), ("rows.jsonl", 1)),)
    assert found.near_duplicates == ((("rows.jsonl", 5), ("rows.jsonl", 4)),)
    assert found.languages["fr"] == 1
    assert sum(each.rows for each in found.lengths) == found.examples
    assert 0 < found.num_trained_tokens < found.tokens


def test_report_names_rows_of_eval_file(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", talk("One?", "1"), talk("Two?", "2"))
    held = write(tmp_path / "b.jsonl", talk("Two?", "zwei"))
    found = report(prepare([train], TOKENIZER, tmp_path, held), embedded_cpu())
    assert (found.leaks, found.num_held_out) == ((2,), 1)


@pytest.mark.slow
def test_split_ignores_neighbouring_rows(tmp_path: Path) -> None:
    rows = [talk(f"Question {at}?", "a") for at in range(200)]
    forward = read_rows(write(tmp_path / "a.jsonl", *rows)).rows
    backward = read_rows(write(tmp_path / "b.jsonl", *rows[::-1][:100])).rows
    held = [row for row in forward if is_held_out(prompt_text(row), 0.2)]
    data = prepare([tmp_path / "a.jsonl"], TOKENIZER, tmp_path).select(
        replace(embedded_cpu(), eval_fraction=0.2)
    )
    assert len(data.train_rows) + len(data.eval_rows) == 200
    assert [forward[place] for place in data.eval_rows] == held
    assert 25 <= len(held) <= 55
    names = {prompt_text(row) for row in held}
    assert {prompt_text(row) for row in backward if is_held_out(prompt_text(row), 0.2)} <= names
    assert [row for row in forward if is_held_out(prompt_text(row), 0.2, seed=1)] != held


def test_near_duplicates_share_most_words() -> None:
    found = find_repeats([STORY * 2, STORY + STORY + "again", "something else entirely", STORY * 2])
    assert found.exact == ((3, 0),)
    assert found.near == ((1, 0),)


@pytest.mark.parametrize(
    ("line", "is_fixed"),
    [
        ("{'prompt': 'Hi', 'completion': 'It is so.',}", True),
        (
            '{"messages": [{"role": "Human", "content": "a"},'
            ' {"role": "gpt", "content": "b"}]}',
            False,
        ),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},'
            ' {"role": "user", "content": "c"}]}',
            False,
        ),
        ('{"prompt": "a", "completion": "b", "score": NaN}', True),
        ('{"messages": [{"role": "user", "content": "a"}]}', None),
        ('{"messages": [', None),
    ],
)  # fmt: skip
def test_fix_repairs_only_what_is_clear(tmp_path: Path, line: str, is_fixed: bool | None) -> None:
    path = write(tmp_path / "rows.jsonl", talk("One?", "1"), line, talk("One?", "1"))
    before = path.read_bytes()
    done = fix(path)
    assert path.read_bytes() == before
    assert done.duplicates == (3,)
    assert done.kept == (1 if is_fixed is None else 2)
    assert [error.line for error in done.errors] == ([2] if is_fixed is None else [])
    assert done.fixed == ((2,) if is_fixed else ())
    assert not read_rows(done.path).errors
    assert sorted(each.name for each in tmp_path.iterdir()) == ["rows.fixed.jsonl", "rows.jsonl"]


def test_fix_reads_other_encodings(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16"):
        path = tmp_path / f"{encoding}.jsonl"
        path.write_bytes(json.dumps(talk("é?", "è"), ensure_ascii=False).encode(encoding) + b"")
        (row,) = read_rows(fix(path).path).conversations
        assert [each.content for each in row.messages] == ["é?", "è"]


def test_preview_marks_trained_tokens(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", talk("<b>é?</b>", "Så 🙂"))
    (example,) = preview_row(path, 1, TOKENIZER, 512)
    found = spans(example, TOKENIZER)
    assert sum(span.num_tokens for span in found) == len(example.token_ids)
    assert "".join(s.text for s in found if s.is_trained and not s.is_control) == "Så 🙂"
    assert sum(s.num_tokens for s in found if s.is_trained) == example.num_trained_tokens
    page = html_page(1, [preview_of(example, TOKENIZER)])
    assert "&lt;b&gt;é?&lt;/b&gt;" in page
    assert '<span class="trained">Så 🙂</span>' in page


@pytest.mark.slow
def test_real_tool_conversations_are_trained_or_reported(tmp_path: Path) -> None:
    dataset = prepare([GLAIVE], TOKENIZER, tmp_path)
    data = dataset.select(replace(embedded_cpu(), max_length=4096))
    named = {error.line for error in data.errors}
    lines = {tokenized.row.line for tokenized in dataset.rows(data.train_rows)}
    examples = [example for example in data.train if isinstance(example, TrainingExample)]
    assert len(lines | named) == 300
    assert named == {1617, 7497}
    calls = sum(TOKENIZER.calls_id in example.labels for example in examples)
    turns = sum(
        message.role == "assistant"
        for row in read_rows(GLAIVE).conversations
        for message in row.messages
    )
    (end,) = TOKENIZER.end_ids
    ends = sum(example.labels.count(end) for example in examples)
    assert calls > 190
    assert turns - len(named) * 4 <= ends <= turns
    controls = set(TOKENIZER.control_tokens) - {end, TOKENIZER.calls_id}
    trained = {t for example in examples for t in example.labels if t != MASKED}
    assert not trained & controls
