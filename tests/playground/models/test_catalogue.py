"""The catalogue's entries refer to things that exist."""

import json

import pytest

from finetune.recipe import PRESETS
from playground.models.call_formats import CALL_FORMATS
from playground.models.catalogue import CatalogueEntry, entries


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_entry_names_a_training_preset(entry: CatalogueEntry) -> None:
    assert entry.recipe in PRESETS


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_entry_examples_are_json(entry: CatalogueEntry) -> None:
    if entry.examples:
        assert json.loads(entry.examples.read_text(encoding="utf-8"))["chat"]


def test_call_formats_mark_where_calls_begin() -> None:
    for call_format in CALL_FORMATS.values():
        assert call_format.marker or "<TOOL_CALLS>" in call_format.control + call_format.call_terms
        assert call_format.marker in call_format.call_prefix
