from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict import make_predictor
from pnas_sim.search.no_growth import NoGrowth, draw_uniformly, mutate_best
from pnas_sim.search.random_search import RandomSearch
from pnas_sim.space import CellSpace

SPACE = CellSpace()


def stream(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, number]))


def search_by_hand(space, predictor, answer, first: list, *, beam: int, candidates: int, draw, seed: int):
    """The rounds after the first, with sets of tuples; returns the cells trained, in order, and guesses."""
    trained, guesses = [tuple(cell) for cell in first], []
    for number in range(2, space.max_blocks + 1):
        rows = np.array(trained, np.uint8)
        values = answer(rows)
        predictor.fit(rows, values)
        rng = stream(seed, number)
        if draw is mutate_best:
            ranked = sorted(range(len(rows)), key=lambda i: (-values[i], i))[:beam]
            drawn = space.mutate(rows[ranked][rng.integers(0, len(ranked), candidates)], rng)
        else:
            drawn = space.sample(candidates, rng)
        new = [cell for cell in dict.fromkeys(map(tuple, drawn.tolist())) if cell not in set(trained)]
        scores = [float(predictor.predict(np.array([cell], np.uint8)).mean[0]) for cell in new]
        order = sorted(range(len(new)), key=lambda i: (-scores[i], i))
        trained += [new[i] for i in order[:beam]]
        guesses += [scores[i] for i in order[:beam]]
    return trained, guesses


@pytest.mark.parametrize("draw", [draw_uniformly, mutate_best])
@pytest.mark.parametrize("batch", [4, 100])
def test_agrees_with_the_rounds_by_hand(
    make_integer_predictor, answer, small_space, drive, draw, batch: int
) -> None:
    settings = {"beam": 9, "candidates": 150, "draw": draw, "seed": 4}
    search = NoGrowth(small_space, make_integer_predictor(), batch=batch, **settings)
    trace = drive(search, answer, 100)
    cells = np.concatenate([proposals.cells for proposals, _ in trace]).tolist()
    assert len(cells) == 21 + 9 + 9
    assert (small_space.block_counts(np.array(cells, np.uint8)) == 3).all()
    by_hand, guesses = search_by_hand(small_space, make_integer_predictor(), answer, cells[:21], **settings)
    assert list(map(tuple, cells)) == by_hand
    predicted = [one.predicted.tolist() for one, _ in trace if one.predicted is not None]
    assert [guess for batch in predicted for guess in batch] == guesses
    assert len(search.ask(5)) == 0


def test_trains_as_many_models_as_pnas(make_integer_predictor, answer, drive) -> None:
    trace = drive(NoGrowth(SPACE, make_integer_predictor(), candidates=3000), answer, 10)
    assert [len(proposals) for proposals, _ in trace] == [136, 256, 256, 256, 256]
    assert [proposals.candidates for proposals, _ in trace] == [136, 3000, 3000, 3000, 3000]
    assert all(proposals.unique <= proposals.candidates for proposals, _ in trace)
    cells = np.concatenate([proposals.cells for proposals, _ in trace])
    assert len(SPACE.unique(cells)[0]) == 1160


@pytest.mark.parametrize("draw", [draw_uniformly, mutate_best])
@pytest.mark.parametrize("cut", [1, 3, 5, 6, 9])
def test_replay_goes_on_as_live_and_scores_nothing(
    make_integer_predictor, answer, small_space, drive, demand_replay, draw, cut: int
) -> None:
    def make(predictor=None) -> NoGrowth:
        predictor = make_integer_predictor() if predictor is None else predictor
        return NoGrowth(small_space, predictor, beam=9, candidates=100, draw=draw, batch=5, seed=8)

    demand_replay(make, answer, 12, cut)
    predictor = make_integer_predictor()
    search = make(predictor)
    for proposals, observations in drive(make(), answer, cut):
        search.replay(proposals, observations)
    assert predictor.scored == 0


def test_failed_children_are_left_out(make_integer_predictor, answer, small_space, drive) -> None:
    predictor = make_integer_predictor()

    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 0, 2, 0).astype(np.uint8)

    search = NoGrowth(small_space, predictor, beam=9, candidates=100, draw=mutate_best)
    drive(search, answer, 2, fail=fail)
    assert all((cells[:, 2] != 0).all() for cells, _, _ in predictor.fits)
    everything = NoGrowth(small_space, make_integer_predictor(), beam=9, candidates=100)
    drive(everything, answer, 1, fail=lambda cells: np.full(len(cells), 2, np.uint8))
    assert len(everything.ask(5)) == 0


def test_diverged_children_are_kept(make_integer_predictor, answer, small_space, drive) -> None:
    """They have an accuracy, if a bad one: where all diverge the search goes on."""
    predictor = make_integer_predictor()
    search = NoGrowth(small_space, predictor, beam=9, candidates=100, draw=mutate_best)
    trace = drive(search, answer, 10, fail=lambda cells: np.ones(len(cells), np.uint8))
    assert [len(proposals) for proposals, _ in trace] == [21, 9, 9]
    assert [len(cells) for cells, _, _ in predictor.fits] == [21, 30]


def test_each_fit_has_a_seed_of_its_own(make_integer_predictor, answer, small_space, drive) -> None:
    seeds: list[int] = []
    for seed in (0, 1):
        predictor = make_integer_predictor()
        drive(NoGrowth(small_space, predictor, beam=9, candidates=100, seed=seed), answer, 10)
        seeds += [one for _, _, one in predictor.fits]
    assert len(seeds) == len(set(seeds)) == 4


def test_ends_where_a_small_space_is_used_up(make_integer_predictor, answer, drive) -> None:
    space = CellSpace(("sep3", "id"), 2)
    trace = drive(NoGrowth(space, make_integer_predictor(), beam=1000, candidates=20_000), answer, 50)
    cells = np.concatenate([proposals.cells for proposals, _ in trace])
    assert len(cells) == len(space.unique(cells)[0]) == space.count_unique(2)


@pytest.mark.parametrize("draw", [draw_uniformly, mutate_best])
def test_learns_what_random_search_does_not(drive, draw) -> None:
    operations = np.arange(20) % 4 >= 2

    def share_of_first(cells: np.ndarray) -> np.ndarray:
        return (cells[:, operations] == 0).mean(axis=1)

    search = NoGrowth(SPACE, make_predictor("ridge", SPACE), beam=40, candidates=3000, draw=draw, seed=1)
    last = drive(search, share_of_first, 10)[-1][1].valid_accuracy
    by_chance = drive(RandomSearch(SPACE, seed=1), share_of_first, 1, n=500)[0][1].valid_accuracy
    assert last.mean() > by_chance.mean() + 0.25


def test_misuse_is_explained(make_integer_predictor, small_space, demand_turns) -> None:
    demand_turns(NoGrowth(small_space, make_integer_predictor()))
    for wrong in ({"beam": 0}, {"candidates": 0}, {"batch": 0}):
        with pytest.raises(SettingError, match="at least 1"):
            NoGrowth(small_space, make_integer_predictor(), **wrong)
