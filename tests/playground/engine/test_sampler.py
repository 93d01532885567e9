"""A row's token follows its own logits, parameters and seed: transformers' processors, by rows."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from playground.engine.penalties import Penalties, apply_penalties
from playground.engine.sampler import Choice, SamplerState, adjust, choose, draw
from playground.engine.truncation import (
    NEEDS_FULL_SORT,
    WIDTHS,
    SamplingBatch,
    draw_nucleus,
    draw_ranked,
    draw_untruncated,
    draw_wider,
    most_likely,
    rank,
    truncate,
)
from playground.protocol import Sampling

VOCABULARY = 1500
LARGE = 131_072
PROMPT = [3, 5, 5, 700, 1499]


def random_logits(rows: int, vocabulary: int = VOCABULARY, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, vocabulary, generator=generator) * 3


def tied_logits(rows: int, vocabulary: int = VOCABULARY, seed: int = 0) -> Tensor:
    """As models in bf16 give them: many are equal."""
    return random_logits(rows, vocabulary, seed).bfloat16().float()


def state(sampling: Sampling, vocabulary: int = VOCABULARY) -> SamplerState:
    return SamplerState(sampling, PROMPT, vocabulary, max_new_tokens=64)


def draws(logits: Tensor, samplings: Sequence[Sampling], steps: int) -> list[list[Choice]]:
    """By row, what is chosen in some steps over the same logits."""
    states = [state(sampling, logits.shape[-1]) for sampling in samplings]
    return [list(row) for row in zip(*(choose(logits, states) for _ in range(steps)), strict=True)]


def column(value: float, rows: int = 1) -> Tensor:
    return torch.full((rows, 1), value, dtype=torch.float64)


def rows_of(logits: Tensor, uniform: Tensor | None = None, **options: float) -> SamplingBatch:
    """All rows alike but for their uniform number."""
    values = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0} | options
    columns = {name: column(value, len(logits)) for name, value in values.items()}
    return SamplingBatch(
        logits,
        logits.amax(dim=-1, keepdim=True).double(),
        **columns,
        uniform=column(0.5, len(logits)) if uniform is None else uniform,
    )


def draw_truncated(rows: SamplingBatch) -> Tensor:
    """By the way that is meant for such rows, looked at again where it takes more tokens."""
    nucleus = not rows.top_k.any() and bool((rows.top_p < 1).all())
    way = draw_nucleus if nucleus else draw_ranked
    tokens = way(rows)
    unsure = tokens == NEEDS_FULL_SORT
    if unsure.any():
        tokens[unsure] = draw_wider(rows.select(unsure))
    return tokens


def probabilities(logits: Tensor, width: int, **options: float) -> Tensor:
    """Probabilities ``[rows, vocabulary]`` of what is drawn, read off the weights of a ranking."""
    rows = rows_of(logits, None, **options)
    scaled = (logits.double() - rows.peak) / rows.temperature
    ranking = rank(logits, width)
    weights, complete = truncate(ranking, rows, scaled.exp().sum(dim=-1, keepdim=True))
    assert bool(complete.all())
    weights /= weights.sum(dim=-1, keepdim=True)
    return torch.zeros_like(scaled).scatter_(-1, ranking.ids, weights)


@pytest.mark.parametrize("width", [WIDTHS[0], VOCABULARY], ids=["most likely", "all sorted"])
@pytest.mark.parametrize(
    ("options", "warpers"),
    [
        ({"temperature": 0.3, "top_k": 2}, [TemperatureLogitsWarper(0.3), TopKLogitsWarper(2)]),
        ({"top_k": 7}, [TopKLogitsWarper(7)]),
        ({"top_p": 0.6}, [TopPLogitsWarper(0.6)]),
        ({"top_p": 0.0}, [TopPLogitsWarper(0.0)]),
        ({"min_p": 0.2}, [MinPLogitsWarper(0.2)]),
        (
            {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.1},
            [
                TemperatureLogitsWarper(0.8),
                TopKLogitsWarper(40),
                TopPLogitsWarper(0.9),
                MinPLogitsWarper(0.1),
            ],
        ),
    ],
    ids=["low and top-k", "top-k", "top-p", "top-p 0", "min-p", "all"],
)
def test_probabilities_equal_transformers(
    options: dict[str, float], warpers: list[LogitsProcessor], width: int
) -> None:
    logits = random_logits(8)
    warped = LogitsProcessorList(warpers)(torch.empty(8, 0, dtype=torch.long), logits)
    expected = torch.softmax(warped.double(), dim=-1)
    got = probabilities(logits, width, **options)
    assert torch.equal(got > 0, expected > 0)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.05, 0.7, 2.0])
def test_untruncated_draw_inverts_in_id_order(temperature: float) -> None:
    logits = random_logits(1).expand(2000, -1)
    uniform = torch.linspace(0, 1, 2001, dtype=torch.float64)[:-1, None] + 1e-5
    warped = TemperatureLogitsWarper(temperature)(None, logits[:1].double())
    edges = torch.softmax(warped[0], dim=-1).cumsum(dim=-1)
    expected = torch.searchsorted(edges, uniform.squeeze())
    got = draw_untruncated(rows_of(logits, uniform, temperature=temperature))
    assert (got != expected).float().mean() < 0.005  # a number next to an edge may fall beyond it
    assert int((got - expected).abs().max()) < 20


def test_uniform_ends_draw_weighted_tokens() -> None:
    logits = torch.full((2, VOCABULARY), float("-inf"))
    logits[:, [600, 700]] = 1.0
    uniform = torch.tensor([[0.0], [1 - 2**-53]], dtype=torch.float64)
    assert draw_untruncated(rows_of(logits, uniform)).tolist() == [600, 700]
    assert draw_truncated(rows_of(logits, uniform, top_p=0.999)).tolist() == [600, 700]


def test_uniform_end_stays_within_rounded_block() -> None:
    logits = random_logits(200, 700)
    logits[:, 500:] = float("-inf")
    tokens = draw_untruncated(rows_of(logits, column(1 - 2**-53, 200)))
    assert set(tokens.tolist()) <= set(range(490, 500))


def test_largest_min_p_keeps_all_ties() -> None:
    logits = random_logits(1)
    logits[0, [20, 1000]] = 30.0
    kept = probabilities(logits, VOCABULARY, min_p=1.0)[0]
    assert kept.nonzero().flatten().tolist() == [20, 1000]


def test_wide_top_k_is_renormalized() -> None:
    logits = random_logits(1) / 6
    uniform = torch.linspace(0, 1, 301, dtype=torch.float64)[:-1, None]
    options = {"top_k": 600.0, "top_p": 0.5}
    kept = probabilities(logits, VOCABULARY, **options)[0]
    assert int((kept > 0).sum()) < WIDTHS[0]
    tokens = draw_truncated(rows_of(logits.expand(300, -1), uniform, **options))
    warped = TopPLogitsWarper(0.5)(None, TopKLogitsWarper(600)(None, logits))[0]
    assert set(tokens.tolist()) <= set(warped.isfinite().nonzero().flatten().tolist())
    order = torch.sort(logits[0], descending=True, stable=True).indices
    edges = kept[order].cumsum(dim=-1)
    expected = order[torch.searchsorted(edges, uniform.squeeze(), right=True)]
    assert (tokens != expected).sum() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"top_k": 30, "top_p": 0.95}], ids=str)
def test_draw_frequencies_match_probabilities(options: dict[str, float]) -> None:
    logits, count = random_logits(1, vocabulary=600), 20_000
    generator = torch.Generator().manual_seed(11)
    uniform = torch.rand(count, 1, generator=generator, dtype=torch.float64)
    rows = rows_of(logits.expand(count, -1), uniform, **options)
    tokens = draw_truncated(rows) if options else draw_untruncated(rows)
    expected = count * probabilities(logits, 600, **options)[0]
    drawn = torch.bincount(tokens, minlength=600).double()
    assert not drawn[expected == 0].any()
    common = expected >= 5
    cells = torch.stack([drawn, expected])
    cells = torch.cat([cells[:, common], cells[:, ~common].sum(dim=-1, keepdim=True)], dim=-1)
    cells = cells[:, cells[1] > 0]
    chi_square = ((cells[0] - cells[1]) ** 2 / cells[1]).sum()
    freedom = cells.shape[-1] - 1
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


def test_wide_nucleus_sorts_its_row() -> None:
    logits = random_logits(3, LARGE)
    logits[1] = logits[1] * 0.001
    uniform = torch.tensor([[0.3], [0.999], [0.6]], dtype=torch.float64)
    rows = rows_of(logits, uniform, top_p=0.8)
    ranking = rank(logits, WIDTHS[-1])
    _, complete = truncate(ranking, rows, logits.double().softmax(-1).amax(-1, keepdim=True) ** -1)
    assert complete.tolist() == [True, False, True]
    tokens = draw_truncated(rows)
    order = logits[1].argsort(descending=True, stable=True)
    place = int((order == tokens[1]).nonzero())
    assert 0.79 * LARGE < place < 0.8 * LARGE
    assert tokens[[0, 2]].tolist() == draw_truncated(rows.select(torch.tensor([0, 2]))).tolist()


@pytest.mark.slow
def test_flat_distribution_is_cut_by_id() -> None:
    logits = torch.zeros(64, LARGE)
    uniform = torch.linspace(0, 1, 65, dtype=torch.float64)[:-1, None]
    tokens = draw_truncated(rows_of(logits[:8], uniform[::8], top_p=0.25))
    assert tokens.tolist() == [LARGE // 4 * step // 8 for step in range(8)]
    tokens = draw_truncated(rows_of(logits[:8], uniform[::8], top_k=8000))
    assert tokens.tolist() == [1000 * step for step in range(8)]
    assert draw_untruncated(rows_of(logits, uniform)).tolist() == list(range(0, LARGE, LARGE // 64))


def test_ranking_equals_stable_sort_where_certain() -> None:
    logits = tied_logits(20, 4000)
    logits[:10, ::7] = float("-inf")
    order = torch.sort(logits, dim=-1, descending=True, stable=True).indices
    assert torch.equal(rank(logits, 4000).ids, order)
    for width in (1, 10, 100, 3999):
        ranking = rank(logits, width)
        certain = torch.arange(width) < ranking.num_certain[:, None]
        assert torch.equal(ranking.ids[certain], order[:, :width][certain])
        assert torch.equal(most_likely(logits, width), order[:, :width])
    flat = most_likely(torch.zeros(2, 4000), 5)
    assert flat.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_negative_zero_ranks_as_zero() -> None:
    logits = torch.tensor([[0.0, -0.0, 1.0, -1.0, -0.0, 0.0, float("-inf"), -2.0, 2.0]])
    assert rank(logits, 9).ids.tolist() == [[8, 2, 0, 1, 4, 5, 3, 7, 6]]


@pytest.mark.parametrize("temperature", [1e-320, 1e-12, 0.0])
def test_coldest_temperature_takes_the_maximum(temperature: float) -> None:
    logits = random_logits(4)
    for sampling in (
        Sampling(temperature=temperature),
        Sampling(temperature=temperature, top_p=0.9),
        Sampling(temperature=temperature, top_k=5),
    ):
        got = choose(logits, [state(sampling) for _ in range(4)])
        assert [choice.token_id for choice in got] == logits.argmax(dim=-1).tolist()


def test_repetition_penalty_equals_transformers() -> None:
    logits, answer = random_logits(2), [3, 9, 9, 1000]
    penalties = Penalties(Sampling(repetition_penalty=1.3), PROMPT, VOCABULARY)
    for token_id in answer:
        penalties.count(token_id)
    got = logits.clone()
    apply_penalties(got, {1: penalties})
    processor = RepetitionPenaltyLogitsProcessor(1.3)
    assert torch.equal(got[1:], processor(torch.tensor([PROMPT + answer]), logits[1:].clone()))
    assert torch.equal(got[0], logits[0])


PenaltyRow = tuple[float, float, float, dict[int, float], list[int]]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1.0, 0.5, 1.7]),
            st.sampled_from([0.0, -1.1, 0.6]),
            st.sampled_from([0.0, 0.3]),
            st.dictionaries(st.integers(0, 99), st.floats(-100, 100), max_size=3),
            st.lists(st.integers(0, 99), max_size=150),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_batched_penalties_equal_dense_ones(rows: list[PenaltyRow]) -> None:
    logits, by_row, expected = random_logits(len(rows), 100), {}, []
    for row, (repetition, presence, frequency, bias, answer) in enumerate(rows):
        sampling = Sampling(
            repetition_penalty=repetition,
            presence_penalty=presence,
            frequency_penalty=frequency,
            logit_bias=bias,
        )
        penalties = Penalties(sampling, [1, 2, 2, 50], 100)
        for token_id in answer:
            penalties.count(token_id)
        by_row[row] = penalties
        expected.append(_dense(logits[row], sampling, [1, 2, 2, 50], answer))
    apply_penalties(logits, by_row)
    assert torch.equal(logits, torch.stack(expected))


def _dense(logits: Tensor, sampling: Sampling, prompt: list[int], answer: list[int]) -> Tensor:
    counts = torch.bincount(torch.tensor(answer, dtype=torch.long), minlength=100).float()
    seen = counts > 0
    seen[prompt] = True
    penalty = sampling.repetition_penalty
    damped = torch.where(logits > 0, logits / penalty, logits * penalty)
    logits = torch.where(seen, damped, logits)
    logits = logits - (
        sampling.presence_penalty * (counts > 0) + sampling.frequency_penalty * counts
    )
    for token_id, value in sampling.logit_bias.items():
        logits[token_id] += value
    return logits


def test_frequency_penalty_alternates_equal_tokens() -> None:
    logits = torch.full((1, 100), -20.0)
    logits[0, [10, 20, 30]] = 5.0
    greedy = Sampling(temperature=0, frequency_penalty=1.0)
    tokens = [choice.token_id for choice in draws(logits, [greedy], 6)[0]]
    assert tokens == [10, 20, 30, 10, 20, 30]


SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.2, 1.0, 2.0]),
    top_p=st.sampled_from([1.0, 0.5, 0.99]),
    top_k=st.sampled_from([0, 1, 20, 300, 1499, 5000]),
    min_p=st.sampled_from([0.0, 0.05]),
    repetition_penalty=st.sampled_from([1.0, 1.2]),
    presence_penalty=st.sampled_from([0.0, 0.7]),
    frequency_penalty=st.sampled_from([0.0, 0.4]),
    logit_bias=st.sampled_from([{}, {8: 9.0, 1400: -100.0}]),
    logprobs=st.sampled_from([None, 0, 2, 20]),
    seed=st.integers(0, 2**40),
)


@pytest.mark.slow
@given(st.lists(SAMPLINGS, min_size=1, max_size=8), st.integers(0, 1000), st.booleans())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_row_choices_are_independent(samplings: list[Sampling], seed: int, ties: bool) -> None:
    logits = (tied_logits if ties else random_logits)(len(samplings), seed=seed)
    before = logits.clone()
    together = draws(logits, samplings, steps=4)
    alone = [
        draws(logits[row : row + 1], samplings[row : row + 1], 4)[0]
        for row in range(len(samplings))
    ]
    assert together == alone
    assert torch.equal(logits, before)


@pytest.mark.slow
def test_large_vocabulary_rows_are_independent() -> None:
    logits = tied_logits(6, LARGE) * torch.tensor([[0.01], [0.3], [1], [1], [0.2], [2]])
    ways = [{"top_p": 0.9}, {"top_p": 0.5}, {"top_k": 40}, {"top_k": 5000}, {}, {"min_p": 0.02}]
    samplings = [
        Sampling(temperature=1.0, seed=seed, logprobs=5, **way)  # type: ignore[arg-type]
        for seed, way in enumerate(ways)
    ]
    alone = [draws(logits[row : row + 1], samplings[row : row + 1], 3)[0] for row in range(6)]
    assert draws(logits, samplings, 3) == alone
    assert draws(logits[[3, 1]], [samplings[3], samplings[1]], 3) == [alone[3], alone[1]]


def test_seed_repeats_its_answer() -> None:
    logits = random_logits(3) / 3
    samplings = [Sampling(temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    first, same, other = draws(logits[:1].expand(3, -1), samplings, 20)
    assert first == same != other
    unseeded = [Sampling(temperature=1.0)] * 2
    one, two = draws(logits[:1].expand(2, -1), unseeded, 20)
    assert one != two


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0, seed=4),
        Sampling(temperature=1.0, seed=4, top_p=0.9),
        Sampling(temperature=1.0, seed=4, top_k=400, min_p=0.01),
    ],
    ids=["whole", "nucleus", "ranked"],
)
def test_each_token_takes_one_uniform_number(sampling: Sampling) -> None:
    drawn = state(sampling)
    for _ in range(3):
        choose(tied_logits(1) * 0.01, [drawn])
    numbers = torch.rand(4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert drawn.uniform() == numbers[3]


def test_invalid_row_raises_and_changes_nothing() -> None:
    logits = random_logits(2)
    sampling = Sampling(temperature=1.0, seed=9)
    expected = draws(logits[:1], [sampling], 1)[0]
    first, broken = state(sampling), state(sampling)
    for value in (float("nan"), float("inf")):
        logits[1, 70] = value
        with pytest.raises(ValueError, match="no finite maximum"):
            choose(logits, [first, broken])
    assert choose(logits[:1], [first]) == expected


BY_METHOD = {
    "most likely": Sampling(temperature=0),
    "whole": Sampling(),
    "nucleus": Sampling(top_p=0.9),
    "ranked": Sampling(top_k=40, top_p=0.8, min_p=0.01),
    "penalized": Sampling(repetition_penalty=1.2, presence_penalty=0.5, logit_bias={3: -1.0}),
}


@pytest.mark.parametrize("names", [*[[name] for name in BY_METHOD], list(BY_METHOD)], ids=str)
def test_draw_reads_nothing_from_the_device(names: list[str]) -> None:
    """Tensors without values, from which nothing can be read."""
    states = [state(BY_METHOD[name]) for name in names]
    logits = torch.empty(len(states), VOCABULARY, device="meta")
    tokens = draw(adjust(logits, states), states)
    assert tokens.shape == (len(states),)
    with pytest.raises((RuntimeError, NotImplementedError)):
        tokens.tolist()


def test_logprobs_ignore_penalties() -> None:
    logits = tied_logits(3)
    sampling = [Sampling(temperature=0, logit_bias={77: 100.0}, logprobs=n) for n in (0, 3, 20)]
    expected = torch.log_softmax(logits, dim=-1)
    order = torch.sort(logits, dim=-1, descending=True, stable=True).indices
    for row, (choice,) in enumerate(draws(logits, sampling, 1)):
        assert choice.token_id == 77
        assert choice.score is not None
        assert choice.score.logprob == pytest.approx(float(expected[row, 77]))
        ids = order[row, : sampling[row].logprobs].tolist()
        assert [token_id for token_id, _ in choice.score.alternatives] == ids
        values = [value for _, value in choice.score.alternatives]
        np.testing.assert_allclose(values, expected[row, ids])


class Watched(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes every operation that torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_greedy_batch_is_one_argmax() -> None:
    logits = random_logits(8)
    states = [state(Sampling(temperature=0, top_p=0.5, top_k=3)) for _ in range(8)]
    with Watched() as watched:
        choose(logits, states)
    assert watched.names == ["argmax"]
