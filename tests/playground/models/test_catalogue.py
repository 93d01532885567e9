"""The catalogue's entries refer to things that exist."""

import json

import pytest

from finetune.recipe import PRESETS
from playground.models.call_formats import CALL_FORMATS
from playground.models.catalogue import CatalogueEntry, entries, find
from playground.models.plan import count_parameters, plan
from playground.models.spec import ModelSpec


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_entry_names_a_training_preset(entry: CatalogueEntry) -> None:
    assert not entry.recipe or entry.recipe in PRESETS


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("mistral-small-3.1", 23.572),
        ("mistral-nemo", 12.248),
        ("mistral-7b", 7.248),
        ("ministral-3-3b-reasoning", 3.4),
        ("ministral-3-8b-reasoning", 8.49),
        ("ministral-3-14b-reasoning", 13.5),
    ],
)
def test_shape_has_the_published_size(name: str, billions: float) -> None:
    entry = find(name)
    assert entry
    assert entry.config
    parameters = count_parameters(entry.config()).total / 1e9
    assert round(parameters, len(str(billions).split(".")[1])) == billions


@pytest.mark.slow
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_entry_fits_a_card_of_24_gb_in_4_bits(entry: CatalogueEntry) -> None:
    spec = ModelSpec(entry.name, quantization="nf4", precision="bf16", device="cpu")
    assert plan(spec).total < 23 * 2**30


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_entry_examples_are_json(entry: CatalogueEntry) -> None:
    if entry.examples:
        assert json.loads(entry.examples.read_text(encoding="utf-8"))["chat"]


def test_call_formats_mark_where_calls_begin() -> None:
    for call_format in CALL_FORMATS.values():
        assert call_format.marker or "<TOOL_CALLS>" in call_format.control + call_format.call_terms
        assert call_format.marker in call_format.call_prefix
