"""Sampling is uniform, mutation changes exactly one token; both by exact probabilities and fixed seeds."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace, sampling

PAPER = CellSpace()


def small_space(operations: int, blocks: int) -> CellSpace:
    return CellSpace(tuple("abcde"[:operations]), max_blocks=blocks)


def assert_uniform(space: CellSpace, cells: np.ndarray, choices: int) -> None:
    """Pearson's chi-square test at the 0.1% level, with all choices seen."""
    _, inverse = space.unique(cells)
    seen = np.bincount(inverse)
    assert len(seen) == choices
    assert stats.chisquare(seen).pvalue > 0.001


@pytest.mark.parametrize(("operations", "blocks"), [(2, 1), (2, 2), (1, 3), (2, 3), (1, 4)])
def test_unique_cells_come_uniformly(operations: int, blocks: int) -> None:
    space = small_space(operations, blocks)
    choices = space.count_unique(blocks)
    cells = space.sample(30 * choices, np.random.default_rng(11))
    np.testing.assert_array_equal(space.canonical(cells), cells)
    assert_uniform(space, cells, choices)


def test_raw_rows_come_uniformly_as_written() -> None:
    space = small_space(2, 2)
    cells = space.sample(30 * space.count_raw(2), np.random.default_rng(12), unique=False)
    assert_uniform(space, cells, space.count_raw(2))


def test_many_small_pieces_are_still_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_MOST_DRAWS", 50)
    space = small_space(2, 2)
    assert_uniform(space, space.sample(3000, np.random.default_rng(13)), space.count_unique(2))


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("blocks", [1, 3, 5, None])
def test_samples_are_valid_cells_of_the_size_asked(blocks: int | None, unique: bool) -> None:
    cells = PAPER.sample(200, np.random.default_rng(14), blocks, unique)
    PAPER.validate(cells)
    assert cells.shape == (200, PAPER.width)
    assert (PAPER.block_counts(cells) == (blocks or 5)).all()


def test_ten_blocks() -> None:
    space = CellSpace(max_blocks=10)
    cells = space.sample(60, np.random.default_rng(15))
    space.validate(cells)
    np.testing.assert_array_equal(space.canonical(cells), cells)
    assert len(space.unique(cells)[0]) == 60


def test_the_same_seed_gives_the_same_cells() -> None:
    one, two, other = (PAPER.sample(50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_none_and_few_can_be_drawn() -> None:
    assert PAPER.sample(0, np.random.default_rng(0)).shape == (0, PAPER.width)
    assert PAPER.sample(1, np.random.default_rng(0)).shape == (1, PAPER.width)


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(SettingError, match="cells of 6 blocks; this space holds those of 1 to 5"):
        PAPER.sample(1, np.random.default_rng(0), blocks=6)
    with pytest.raises(SettingError, match="cells of 0 blocks"):
        PAPER.sample(1, np.random.default_rng(0), blocks=0)
    with pytest.raises(SettingError, match="cannot draw -1 cells"):
        PAPER.sample(-1, np.random.default_rng(0))


def mutation_probabilities(space: CellSpace, row: np.ndarray) -> dict[str, Fraction]:
    """Exact: one token drawn uniformly, one other value drawn uniformly, given that the cell changes."""
    blocks, operations = int(space.block_counts(row[None])[0]), len(space.operations)
    columns = [c for c in range(4 * blocks) if operations > 1 or c % 4 < 2]
    weights: Counter[str] = Counter()
    for column in columns:
        values = operations if column % 4 > 1 else column // 4 + 2
        for value in set(range(values)) - {int(row[column])}:
            changed = row.copy()
            changed[column] = value
            weights[space.canonical_text(space.format(changed))] += Fraction(1, len(columns) * (values - 1))
    del weights[space.canonical_text(space.format(row))]
    return {text: weight / sum(weights.values()) for text, weight in weights.items()}


@pytest.mark.parametrize(
    ("operations", "text"),
    [
        (3, "a(-2)+b(-1) | a(1)+a(-2)"),
        (2, "a(-2)+a(-2) | a(-2)+a(-2) | b(1)+a(2)"),
        (1, "a(-2)+a(-1)"),
        (1, "a(-1)+a(-1) | a(-1)+a(-1)"),
    ],
)
def test_mutations_come_with_their_exact_probabilities(operations: int, text: str) -> None:
    space = small_space(operations, 3)
    row = space.parse(text)
    expected = mutation_probabilities(space, row)
    cells = space.mutate(np.tile(row, (4000, 1)), np.random.default_rng(16))
    seen = Counter(space.format_many(cells))
    assert seen.keys() == expected.keys()
    probabilities = np.array([float(expected[text]) for text in seen])
    assert len(seen) == 1 or stats.chisquare(list(seen.values()), 4000 * probabilities).pvalue > 0.001


def test_mutation_changes_every_cell_and_keeps_its_size() -> None:
    random = np.random.default_rng(17)
    cells = np.vstack([PAPER.sample(100, random, blocks, unique=False) for blocks in (1, 2, 5)])
    mutated = PAPER.mutate(cells, random)
    PAPER.validate(mutated)
    np.testing.assert_array_equal(PAPER.canonical(mutated), mutated)
    assert (mutated != PAPER.canonical(cells)).any(axis=1).all()
    np.testing.assert_array_equal(PAPER.block_counts(mutated), PAPER.block_counts(cells))


def test_mutation_takes_no_cells() -> None:
    assert PAPER.mutate(np.empty((0, PAPER.width), np.uint8), np.random.default_rng(0)).shape == (0, 20)


def test_a_seed_is_the_generator_it_makes() -> None:
    for ask in (PAPER.sample, lambda n, rng: PAPER.mutate(PAPER.initial()[:n], rng)):
        np.testing.assert_array_equal(ask(9, 42), ask(9, np.random.default_rng(42)))
    rng = np.random.default_rng(42)
    assert (PAPER.sample(9, rng) != PAPER.sample(9, rng)).any()  # one given goes on


@pytest.mark.parametrize("rng", [None, -1, True, 0.5, "42"])
def test_what_is_neither_seed_nor_generator_is_refused(rng: object) -> None:
    with pytest.raises(SettingError, match=f"rng is {rng!r}; give a numpy.random.Generator, or a seed"):
        PAPER.sample(2, rng)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="rng is"):
        PAPER.mutate(PAPER.initial(), rng)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [-1, 2.0, "2", None, True])
def test_how_many_is_a_whole_number(n: object) -> None:
    with pytest.raises(SettingError, match=f"cannot draw {n!r} cells"):
        PAPER.sample(n, 0)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"cells of 2\.5 blocks"):
        PAPER.sample(3, 0, blocks=2.5)  # type: ignore[arg-type]
