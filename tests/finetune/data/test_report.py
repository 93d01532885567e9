"""What `finetune check` says of a file, what --fix mends, what a preview shows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.data.dataset import read_dataset, tokenize
from finetune.data.duplicates import find_repeats
from finetune.data.examples import MASKED
from finetune.data.preview import html_page, spans
from finetune.data.repair import repair
from finetune.data.report import report
from finetune.data.rows import read_rows
from finetune.data.split import prompt_text, split
from finetune.recipe import embedded_cpu
from playground.models.catalogue import EMBEDDED_FOLDER
from playground.models.mistral_tokenizer import MistralTokenizer

TOKENIZER = MistralTokenizer(EMBEDDED_FOLDER)
GLAIVE = Path(__file__).parents[2] / "data" / "glaive" / "glaive_toolcall_en_demo.json"
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


def test_a_report_counts_what_is_there(tmp_path: Path) -> None:
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
    found = report([path], TOKENIZER, replace(embedded_cpu(), max_length=400))
    assert (found.rows, found.turns, found.examples, found.too_long) == (6, 6, 5, 1)
    assert [error.line for error in found.errors] == [7, 6]
    assert found.duplicates == ((3, 1),)
    assert found.near_duplicates == ((5, 4),)
    assert found.languages["fr"] == 1
    assert sum(each.rows for each in found.lengths) == found.examples
    assert 0 < found.trained < found.tokens


def test_rows_that_the_eval_file_repeats_are_named(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", talk("One?", "1"), talk("Two?", "2"))
    held = write(tmp_path / "b.jsonl", talk("Two?", "zwei"))
    found = report([train], TOKENIZER, embedded_cpu(), held)
    assert (found.leaks, found.held_out) == ((2,), 1)


def test_a_split_is_the_same_whatever_stands_around_a_row(tmp_path: Path) -> None:
    rows = [talk(f"Question {at}?", "a") for at in range(200)]
    forward = read_rows(write(tmp_path / "a.jsonl", *rows)).rows
    backward = read_rows(write(tmp_path / "b.jsonl", *rows[::-1][:100])).rows
    train, held = split(forward, 0.2)
    assert len(train) + len(held) == 200
    assert 25 <= len(held) <= 55
    names = {prompt_text(row) for row in held}
    assert {prompt_text(row) for row in split(backward, 0.2)[1]} <= names
    assert split(forward, 0.2, seed=1)[1] != held


def test_near_duplicates_need_four_fifths_of_their_words() -> None:
    found = find_repeats([STORY * 2, STORY + STORY + "again", "something else entirely", STORY * 2])
    assert found.exact == ((3, 0),)
    assert found.near == ((1, 0),)


@pytest.mark.parametrize(
    ("line", "is_mended"),
    [
        ("{'prompt': 'Hi', 'completion': 'It is so.',}", True),
        (
            '{"messages": [{"role": "Human", "content": "a"},'
            ' {"role": "gpt", "content": "b"}]}',
            True,
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
def test_a_fix_mends_what_has_one_meaning_and_names_the_rest(
    tmp_path: Path, line: str, is_mended: bool | None
) -> None:
    path = write(tmp_path / "rows.jsonl", talk("One?", "1"), line, talk("One?", "1"))
    before = path.read_bytes()
    done = repair(path)
    assert path.read_bytes() == before
    assert done.duplicates == (3,)
    assert done.kept == (1 if is_mended is None else 2)
    assert [error.line for error in done.errors] == ([2] if is_mended is None else [])
    assert done.mended == ((2,) if is_mended else ())
    assert not read_rows(done.path).errors
    assert sorted(each.name for each in tmp_path.iterdir()) == ["rows.fixed.jsonl", "rows.jsonl"]


def test_a_fix_reads_other_encodings(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16"):
        path = tmp_path / f"{encoding}.jsonl"
        path.write_bytes(json.dumps(talk("é?", "è"), ensure_ascii=False).encode(encoding) + b"")
        (row,) = read_rows(repair(path).path).conversations
        assert [each.content for each in row.messages] == ["é?", "è"]


def test_a_preview_shows_every_token_once_and_marks_the_trained_ones(tmp_path: Path) -> None:
    (row,) = read_rows(write(tmp_path / "a.jsonl", talk("<b>é?</b>", "Så 🙂"))).rows
    (example,) = tokenize([row], TOKENIZER, 512).examples
    found = spans(example, TOKENIZER)
    assert sum(span.tokens for span in found) == len(example.token_ids)
    assert "".join(s.text for s in found if s.trained and not s.control) == "Så 🙂"
    assert sum(s.tokens for s in found if s.trained) == example.trained
    page = html_page(row, [example], TOKENIZER)
    assert "&lt;b&gt;é?&lt;/b&gt;" in page
    assert '<span class="trained">Så 🙂</span>' in page


def test_300_real_tool_conversations_are_trained_or_named() -> None:
    data = read_dataset([GLAIVE], TOKENIZER, 4096)
    named = {error.line for error in data.errors}
    lines = {row.line for row in data.train.rows}
    assert len(lines | named) == 300
    assert named == {1617, 7497}
    calls = sum(TOKENIZER.calls_id in example.labels for example in data.train.examples)
    turns = sum(
        message.role == "assistant"
        for row in read_rows(GLAIVE).conversations
        for message in row.messages
    )
    (end,) = TOKENIZER.end_ids
    ends = sum(example.labels.count(end) for example in data.train.examples)
    assert calls > 190
    assert turns - len(named) * 4 <= ends <= turns
    controls = set(TOKENIZER.control_tokens) - {end, TOKENIZER.calls_id}
    trained = {t for example in data.train.examples for t in example.labels if t != MASKED}
    assert not trained & controls
