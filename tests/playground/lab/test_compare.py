"""Compare: a lane answers with what its label says, or not at all."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.errors import AdapterChanged, PlaygroundError, UnknownModel
from playground.lab import Lane, ask_lanes, blind_order, lane_of
from playground.models.adapters import read_adapter
from playground.models.loader import load
from playground.models.spec import ModelSpec
from playground.protocol import Answer, Message, Sampling
from tests.playground.adapter_files import random_adapter

ASKED = (Message("user", "Tell me about Rome."),)
GREEDY = Sampling(temperature=0.0, max_tokens=24)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("adapters")
    return [random_adapter(root / f"a{at}", at, r=8, lora_alpha=16) for at in range(3)]


@pytest.fixture
def backend() -> Iterator[LocalBackend]:
    with LocalBackend(load(ModelSpec("embedded"))) as running:
        yield running


async def outcomes(backend: LocalBackend, lanes: list[Lane]) -> list[Answer | PlaygroundError]:
    found: dict[int, Answer | PlaygroundError] = {}
    async for event in ask_lanes(backend, lanes, ASKED):
        ended = event.answer or event.error
        if ended:
            found[event.lane] = ended
    return [found[at] for at in range(len(lanes))]


@pytest.mark.slow
async def test_lanes_answer_side_by_side_and_say_what_made_them(
    backend: LocalBackend, folders: list[Path]
) -> None:
    backend.load_adapter(folders[0], "one")
    lanes = [
        await lane_of(backend, "embedded", sampling=GREEDY),
        await lane_of(backend, "one", sampling=GREEDY),
        await lane_of(backend, "embedded", "Answer in capital letters.", GREEDY),
        await lane_of(backend, "embedded", sampling=Sampling(max_tokens=8)),
    ]
    got = await outcomes(backend, lanes)
    assert all(isinstance(each, Answer) for each in got)
    made = [each.provenance.weights() for each in got if isinstance(each, Answer)]
    assert made == [lane.provenance for lane in lanes]
    assert made[1].adapter_hash == read_adapter(folders[0]).content_hash
    assert made[0].base_hash
    texts = [each.text for each in got if isinstance(each, Answer)]
    assert len(set(texts)) == 4
    last = got[3]
    assert isinstance(last, Answer)
    again = await outcomes(
        backend, [replace(lanes[3], sampling=replace(lanes[3].sampling, seed=last.provenance.seed))]
    )
    assert isinstance(again[0], Answer)
    assert again[0].text == last.text  # the seed that was drawn is the answer's


@pytest.mark.slow
async def test_a_lane_that_cannot_answer_leaves_the_others_alone(
    backend: LocalBackend, folders: list[Path]
) -> None:
    backend.load_adapter(folders[0], "one")
    lanes = [await lane_of(backend, name, sampling=GREEDY) for name in ("embedded", "one")]
    backend.load_adapter(folders[1], "one")
    base, changed = await outcomes(backend, lanes)
    assert isinstance(base, Answer)
    assert isinstance(changed, AdapterChanged)
    backend.unload_adapter("one")
    _, gone = await outcomes(backend, lanes)
    assert isinstance(gone, UnknownModel)
    with pytest.raises(UnknownModel):
        await lane_of(backend, "one")


@pytest.mark.slow
async def test_no_lane_answers_with_another_adapter_while_names_are_swapped_and_deleted(
    backend: LocalBackend, folders: list[Path]
) -> None:
    """Each answer's text is that of the version it names, however fast the names move."""
    hashes = [read_adapter(folder).content_hash for folder in folders]
    wanted: dict[str, str] = {}
    for at, folder in enumerate(folders):
        backend.load_adapter(folder, f"still{at}")
        (got,) = await outcomes(backend, [await lane_of(backend, f"still{at}", sampling=GREEDY)])
        assert isinstance(got, Answer)
        wanted[hashes[at]] = got.text
    assert len(set(wanted.values())) == 3
    backend.load_adapter(folders[0], "moving")
    over = asyncio.Event()

    async def swap() -> None:
        at = 0
        while not over.is_set():
            at += 1
            if at % 7 == 0:
                await asyncio.to_thread(backend.unload_adapter, "moving")
            await asyncio.to_thread(backend.load_adapter, folders[at % 3], "moving")

    async def client() -> list[Answer | PlaygroundError]:
        got: list[Answer | PlaygroundError] = []
        for _ in range(6):
            try:
                lanes = [await lane_of(backend, "moving", sampling=GREEDY) for _ in range(2)]
            except UnknownModel as error:
                got.append(error)
                continue
            for lane, each in zip(lanes, await outcomes(backend, lanes), strict=True):
                if isinstance(each, Answer):
                    assert each.provenance.weights() == lane.provenance
                got.append(each)
        return got

    swapping = asyncio.create_task(swap())
    everything = [
        each for got in await asyncio.gather(*(client() for _ in range(6))) for each in got
    ]
    over.set()
    await swapping
    finished = [each for each in everything if isinstance(each, Answer)]
    assert finished
    assert all(each.text == wanted[each.provenance.adapter_hash] for each in finished)
    others = [each for each in everything if not isinstance(each, Answer)]
    assert all(isinstance(each, (AdapterChanged, UnknownModel)) for each in others)


async def test_closing_the_comparison_cancels_what_runs(backend: LocalBackend) -> None:
    long = Sampling(temperature=0.0, max_tokens=4000, logit_bias={2: -100.0})
    async with aclosing(ask_lanes(backend, [Lane("embedded", "", long)] * 2, ASKED)) as stream:
        await anext(stream)
        assert backend.live_requests == 2
    async with asyncio.timeout(30):
        while backend.live_requests:
            await asyncio.sleep(0)
    assert backend.live_requests == 0


def test_the_blind_order_is_seeded_and_complete() -> None:
    assert sorted(blind_order(4, 1)) == [0, 1, 2, 3]
    assert blind_order(4, 1) == blind_order(4, 1)
    assert {tuple(blind_order(2, seed)) for seed in range(20)} == {(0, 1), (1, 0)}
