from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.search.base import Observations
from pnas_sim.search.evolution import Evolution
from pnas_sim.search.random_search import RandomSearch
from pnas_sim.space import CellSpace

SPACE = CellSpace()


def evolve_by_hand(space: CellSpace, answer, p: int, s: int, batch: int, batches: int, seed: int) -> list:
    """Real et al.'s Algorithm 1 with a list of all members, one child after the other."""
    born: list[tuple[list[int], float]] = []
    for k in range(batches):
        rng = np.random.default_rng(np.random.SeedSequence([seed, k]))
        if len(born) < p:
            cells = space.sample(min(batch, p - len(born)), rng)
        else:
            alive = born[-p:]  # the member of place i is the one born as number i modulo P
            alive = alive[-(len(born) % p) :] + alive[: -(len(born) % p)] if len(born) % p else alive
            parents = []
            for draws in rng.integers(0, p, (batch, s)).tolist():
                best = draws[0]
                for place in draws:
                    if alive[place][1] > alive[best][1]:
                        best = place
                parents.append(alive[best][0])
            cells = space.mutate(np.array(parents, np.uint8), rng)
        born += list(zip(cells.tolist(), answer(cells).tolist(), strict=True))
    return [cell for cell, _ in born]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(p=st.integers(1, 12), s=st.integers(1, 6), batch=st.integers(1, 8), seed=st.integers(0, 99))
def test_agrees_with_algorithm_1_by_hand(small_space, answer, drive, p, s, batch, seed) -> None:
    """Also where a batch is larger than the population: of its children the last P live."""
    search = Evolution(small_space, population=p, sample=s, batch=batch, seed=seed)
    trace = drive(search, answer, 30)
    told = np.concatenate([proposals.cells for proposals, _ in trace]).tolist()
    assert told == evolve_by_hand(small_space, answer, p, s, batch, 30, seed)


def is_neighbour(space: CellSpace, cell: np.ndarray, other: np.ndarray, rng) -> bool:
    """Whether many mutations of a cell hit the other; a small cell has about 30 neighbours."""
    return bool((space.mutate(np.repeat(cell[None], 600, axis=0), rng) == other).all(axis=1).any())


def test_the_best_is_the_parent_until_it_has_aged(small_space, drive) -> None:
    """With a sample so large that every tournament sees everyone, all children are of one parent."""
    first = Evolution(small_space, population=10, sample=500, batch=5, seed=3).ask(5).cells[0]
    rng = np.random.default_rng(0)

    def favour_first(cells: np.ndarray) -> np.ndarray:
        return np.where((cells == first).all(axis=1), 0.9, rng.random(len(cells)) / 2)

    search = Evolution(small_space, population=10, sample=500, batch=5, seed=3)
    trace = drive(search, favour_first, 6)
    of_first = [
        [is_neighbour(small_space, first, cell, rng) for cell in proposals.cells] for proposals, _ in trace
    ]
    assert all(of_first[2])  # first of ten: alive
    assert not all(of_first[3])  # its place went to a child of batch 2
    assert not all(of_first[5])


def test_defaults_are_the_published_ones(drive) -> None:
    trace = drive(Evolution(SPACE, seed=1), lambda cells: np.full(len(cells), 0.5), 7)
    assert [len(proposals) for proposals, _ in trace] == [20] * 7
    cells = np.concatenate([proposals.cells for proposals, _ in trace])
    assert (SPACE.block_counts(cells) == 5).all()
    assert (SPACE.canonical(cells) == cells).all()


def test_a_batch_ends_where_the_first_population_does(small_space, answer, drive) -> None:
    trace = drive(Evolution(small_space, population=10, sample=3, batch=7), answer, 4)
    assert [len(proposals) for proposals, _ in trace] == [7, 3, 7, 7]
    trace = drive(Evolution(small_space, population=10, sample=3, batch=7), answer, 4, n=2)
    assert [len(proposals) for proposals, _ in trace] == [2, 2, 2, 2]


def test_failed_children_are_taken_for_chance(small_space, drive) -> None:
    """Worse than a child at .3, better than one at .05; NaN would win or lose against both."""

    def answer_low(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 0, 0.05, 0.3)

    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 1, 2, 0).astype(np.uint8)

    search = Evolution(small_space, population=40, sample=2, batch=40, seed=0)
    trace = drive(search, answer_low, 1, fail=fail)
    assert np.isnan(trace[0][1].valid_accuracy).any()
    told = np.where(np.isnan(trace[0][1].valid_accuracy), 0.1, trace[0][1].valid_accuracy)
    rng = np.random.default_rng(np.random.SeedSequence([0, 1]))
    draws = rng.integers(0, 40, (40, 2))
    parents = draws[np.arange(40), told[draws].argmax(axis=1)]
    assert search.ask(40).cells.tolist() == small_space.mutate(trace[0][0].cells[parents], rng).tolist()


@pytest.mark.parametrize("cut", [1, 4, 5, 9])
def test_replay_goes_on_as_live(small_space, answer, demand_replay, cut: int) -> None:
    demand_replay(lambda: Evolution(small_space, 12, 4, batch=5, seed=7), answer, 10, cut)


def test_learns_what_random_search_does_not(drive) -> None:
    """Sum of 20 tokens that want to be a certain value: random reaches about half of them."""
    wanted = SPACE.sample(1, np.random.default_rng(5))[0]

    def count_wanted(cells: np.ndarray) -> np.ndarray:
        return (cells == wanted).mean(axis=1)

    best = {}
    for search in (Evolution(SPACE, seed=2), RandomSearch(SPACE, seed=2)):
        trace = drive(search, count_wanted, 60, n=20)
        best[type(search)] = max(told.valid_accuracy.max() for _, told in trace)
    assert best[Evolution] >= best[RandomSearch] + 0.25


def test_misuse_is_explained(small_space, demand_turns) -> None:
    demand_turns(Evolution(small_space, 10, 2))
    for wrong in ({"population": 0}, {"sample": 0}, {"batch": 0}, {"population": 2.5}, {"sample": True}):
        with pytest.raises(SettingError, match=f"{next(iter(wrong))} is"):
            Evolution(small_space, **wrong)
    with pytest.raises(SettingError, match="chance is"):
        Evolution(small_space, chance=1.5)
    with pytest.raises(SettingError, match="seed is -1"):
        Evolution(small_space, seed=-1)


def test_failed_children_join_with_the_evaluators_chance(small_space) -> None:
    """Else they would be the best parents where there are a hundred classes."""
    failing = small_space.initial()[:1]

    def share_of_failing(chance: float) -> float:
        request = SearchRequest(space=small_space, chance=chance, options={"population": 10, "sample": 5})
        search, failed = make_search("evolution", request), []
        for _ in range(30):
            cells = search.ask(10).cells
            bad = cells[:, 2] == failing[0, 2]  # the first operation of the first block
            search.tell(Observations(np.where(bad, np.nan, 0.05), np.where(bad, 2, 0).astype(np.uint8)))
            failed.append(bad.mean())
        return float(np.mean(failed[-10:]))

    assert share_of_failing(0.01) < 0.5 * share_of_failing(0.1)
