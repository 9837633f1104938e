from __future__ import annotations

import itertools

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.search.local import LocalSearch, list_neighbours
from pnas_sim.search.random_search import RandomSearch
from pnas_sim.space import CellSpace

SPACE = CellSpace()
TINY = CellSpace(("sep3", "id", "max3"), 2)


def list_all(space: CellSpace) -> np.ndarray:
    """Every unique cell of the largest size, by writing every raw row."""
    limits = [limit for block in range(2, space.max_blocks + 2) for limit in (block, block, 3, 3)]
    rows = np.array(list(itertools.product(*(range(limit) for limit in limits))), np.uint8)
    cells = space.canonical(rows)
    return cells[space.unique(cells)[0]]


def test_neighbours_are_those_that_one_change_leads_to() -> None:
    """Brute force: a neighbour of a cell has some raw row that differs in one token from the cell's row."""
    cells = list_all(TINY)
    assert len(cells) == TINY.count_unique(2)
    limits = (2, 2, 3, 3, 3, 3, 3, 3)
    for cell in cells[:: len(cells) // 40]:
        expected = set()
        for column, limit in enumerate(limits):
            for value in range(limit):
                row = cell.copy()
                row[column] = value
                expected.add(TINY.canonical(row[None])[0].tobytes())
        expected.discard(cell.tobytes())
        found = list_neighbours(TINY, cell[None])
        assert len(found) == len(expected)
        assert {row.tobytes() for row in found} == expected


def test_mutations_of_a_cell_are_its_neighbours() -> None:
    cell = SPACE.sample(1, np.random.default_rng(0))
    neighbours = {row.tobytes() for row in list_neighbours(SPACE, cell)}
    mutations = SPACE.mutate(np.repeat(cell, 3000, axis=0), np.random.default_rng(1))
    assert {row.tobytes() for row in mutations} == neighbours
    assert 60 < len(neighbours) <= 100


def climb_by_hand(space: CellSpace, answer, seed: int, starts: int, batches: int) -> list[list[int]]:
    """The search of White et al., one cell at a time, with dictionaries; draws as the strategy does."""
    told: dict[bytes, float] = {}
    order: list[list[int]] = []

    def stream() -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([seed, counted]))

    def evaluate(row: np.ndarray) -> float:
        told[row.tobytes()] = float(answer(row[None])[0])
        order.append(row.tolist())
        return told[row.tobytes()]

    counted = 0
    rng = stream()
    while counted < batches:
        drawn = space.sample(starts, rng)
        first = list({row.tobytes(): row for row in drawn if row.tobytes() not in told}.values())
        values = [evaluate(row) for row in first]
        counted += 1
        here, best = first[int(np.argmax(values))], max(values)
        while counted < batches:
            rng = stream()
            new = [row for row in list_neighbours(space, here[None]) if row.tobytes() not in told]
            better = False
            for place in rng.permutation(len(new)):
                if counted == batches:
                    return order
                counted += 1
                value = evaluate(new[place])
                if value > best:
                    here, best, better = new[place], value, True
                    break
            if not better:
                rng = stream() if len(new) else rng
                break
    return order


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_a_climb_by_hand(small_space, answer, drive, seed: int) -> None:
    search = LocalSearch(small_space, starts=4, seed=seed)
    trace = drive(search, answer, 150)
    told = np.concatenate([proposals.cells for proposals, _ in trace]).tolist()
    assert told == climb_by_hand(small_space, answer, seed, 4, 150)


@pytest.mark.parametrize("batch", [1, 7])
def test_goes_through_a_small_space_once_and_ends(answer, drive, batch: int) -> None:
    trace = drive(LocalSearch(TINY, batch=batch, seed=2), answer, 10_000)
    cells = np.concatenate([proposals.cells for proposals, _ in trace])
    assert len(TINY.unique(cells)[0]) == len(cells)
    assert len(cells) == TINY.count_unique(2)
    assert max(told.valid_accuracy.max() for _, told in trace) == answer(list_all(TINY)).max()


def test_each_start_is_of_few_cells_also_where_nearly_all_are_known(drive) -> None:
    """Where all cells are equal, each start's first is an optimum once its new neighbours are known."""
    trace = drive(
        LocalSearch(TINY, starts=3, batch=10_000, seed=2), lambda cells: np.full(len(cells), 0.5), 999
    )
    batches = [proposals.cells for proposals, _ in trace]
    seen: set[bytes] = set()
    at = 0
    while at < len(batches):
        assert len(batches[at]) <= 3
        seen.update(TINY.list_keys(batches[at]))
        new = set(TINY.list_keys(list_neighbours(TINY, batches[at][:1]))) - seen
        at += 1
        if new:
            assert set(TINY.list_keys(batches[at])) == new
            seen |= new
            at += 1
    assert len(seen) == TINY.count_unique(2) and len(batches) > 30


def test_finds_the_optimum_of_a_smooth_landscape(drive) -> None:
    """The best cell has the last operation ten times: one climb ends there, random search is far from it."""
    operations = np.arange(20) % 4 >= 2

    def sum_operations(cells: np.ndarray) -> np.ndarray:
        return cells[:, operations].sum(axis=1) / 70

    found = drive(LocalSearch(SPACE, seed=1), sum_operations, 600)
    by_chance = drive(RandomSearch(SPACE, seed=1), sum_operations, 30, n=20)
    assert max(told.valid_accuracy.max() for _, told in found) == 1.0
    assert max(told.valid_accuracy.max() for _, told in by_chance) < 0.9


def test_failed_children_are_never_moved_to(small_space, answer, drive) -> None:
    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 0, 2, 0).astype(np.uint8)

    trace = drive(LocalSearch(small_space, starts=3, batch=5, seed=4), answer, 60, fail=fail)
    assert len(trace) == 60
    values = [told.valid_accuracy for _, told in trace]
    assert any(np.isnan(value).any() for value in values)
    alone = LocalSearch(small_space, starts=3, seed=4)
    drive(alone, answer, 20, fail=lambda cells: np.full(len(cells), 2, np.uint8))
    assert len(alone.ask(5)) == 3  # still looking for a start


@pytest.mark.parametrize("cut", [1, 2, 17, 59])
@pytest.mark.parametrize("batch", [1, 6])
def test_replay_goes_on_as_live(small_space, answer, demand_replay, cut: int, batch: int) -> None:
    demand_replay(lambda: LocalSearch(small_space, starts=5, batch=batch, seed=9), answer, 60, cut, n=4)


def test_misuse_is_explained(small_space, demand_turns) -> None:
    demand_turns(LocalSearch(small_space))
    for wrong in ({"starts": 0}, {"batch": 0}):
        with pytest.raises(SettingError, match="at least 1"):
            LocalSearch(small_space, **wrong)
