from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict import Prediction, make_predictor
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.search.bananas import Bananas
from pnas_sim.search.random_search import RandomSearch
from pnas_sim.space import CellSpace

SPACE = CellSpace()


class Doubtful:
    """Predicts a share of tokens, with a deviation of its own; remembers its fits."""

    def __init__(self, std: float | None = 0.05) -> None:
        self.std = std
        self.fits: list[tuple[np.ndarray, np.ndarray, int]] = []

    def fit(self, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        self.fits.append((cells.copy(), accuracies.copy(), seed))

    def predict(self, cells: np.ndarray) -> Prediction:
        mean = (np.where(cells == 255, 0, cells).sum(axis=1) % 16) / 16
        return Prediction(mean=mean, std=None if self.std is None else np.full(len(cells), self.std))


def test_agrees_with_the_algorithm_by_hand(small_space, answer, drive) -> None:
    search = Bananas(small_space, Doubtful(), starts=6, candidates=12, batch=4, seed=2)
    trace = drive(search, answer, 14)
    told: dict[tuple, float] = {}
    for k, (proposals, observations) in enumerate(trace):
        rng = np.random.default_rng(np.random.SeedSequence([2, k]))
        if k >= 2:
            assert len(proposals) == 4
            ranked = sorted(told, key=lambda cell: -told[cell])[:5]
            candidates: list[tuple] = []
            for cell in ranked:
                for row in small_space.mutate(np.array([cell] * 12, np.uint8), rng).tolist():
                    if tuple(row) not in told and tuple(row) not in candidates:
                        candidates.append(tuple(row))
                if len(candidates) >= 12:
                    break
            guess = Doubtful().predict(np.array(candidates, np.uint8))
            draws = [rng.normal(mean, 0.05) for mean in guess.mean]
            order = sorted(range(len(candidates)), key=lambda i: -draws[i])[:4]
            assert proposals.cells.tolist() == [list(candidates[i]) for i in order]
            assert proposals.predicted.tolist() == guess.mean[order].tolist()
        told |= dict(zip(map(tuple, proposals.cells.tolist()), observations.valid_accuracy, strict=True))
    assert [len(proposals) for proposals, _ in trace[:2]] == [4, 2]
    assert len(told) == 6 + 12 * 4  # nothing twice


def test_fits_on_everything_that_did_not_fail(small_space, answer, drive) -> None:
    predictor = Doubtful()

    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 0, 2, 0).astype(np.uint8)

    trace = drive(Bananas(small_space, predictor, starts=10, batch=10, seed=3), answer, 4, fail=fail)
    cells = np.concatenate([proposals.cells for proposals, _ in trace[:3]])
    usable = cells[:, 2] != 0
    assert not usable.all()
    fitted, accuracies, _ = predictor.fits[-1]
    assert fitted.tolist() == cells[usable].tolist()
    assert accuracies.tolist() == answer(cells[usable]).tolist()
    assert len({seed for _, _, seed in predictor.fits}) == 3


def test_a_beginning_that_fails_is_tried_again(small_space, answer, drive) -> None:
    search = Bananas(small_space, Doubtful(), starts=4, batch=4)
    drive(search, answer, 3, fail=lambda cells: np.full(len(cells), 2, np.uint8))
    assert len(search.ask(4)) == 1


def test_ends_where_a_small_space_is_used_up(answer, drive) -> None:
    space = CellSpace(("sep3", "id"), 2)
    trace = drive(Bananas(space, Doubtful(), starts=5, batch=10), answer, 500)
    cells = np.concatenate([proposals.cells for proposals, _ in trace])
    assert len(cells) == len(space.unique(cells)[0]) == space.count_unique(2)


@pytest.mark.parametrize("cut", [1, 4])
def test_replay_goes_on_as_live_and_fits_nothing(small_space, answer, drive, demand_replay, cut: int) -> None:
    def make(predictor=None) -> Bananas:
        return Bananas(small_space, predictor or Doubtful(), starts=4, candidates=9, batch=3, seed=5)

    demand_replay(make, answer, 8, cut)
    predictor = Doubtful()
    search = make(predictor)
    for proposals, observations in drive(make(), answer, cut):
        search.replay(proposals, observations)
    assert predictor.fits == []


def test_learns_what_random_search_does_not(drive, one_thread) -> None:
    operations = np.arange(20) % 4 >= 2

    def share_of_first(cells: np.ndarray) -> np.ndarray:
        return (cells[:, operations] == 0).mean(axis=1)

    search = Bananas(SPACE, make_predictor("mlp-ensemble", SPACE), seed=1)
    last = drive(search, share_of_first, 11)[-1][1].valid_accuracy
    by_chance = drive(RandomSearch(SPACE, seed=1), share_of_first, 1, n=500)[0][1].valid_accuracy
    assert last.mean() > by_chance.mean() + 0.25


def test_misuse_is_explained(small_space, answer, drive, demand_turns) -> None:
    demand_turns(Bananas(small_space, Doubtful()))
    for wrong in ({"starts": 0}, {"candidates": 0}, {"batch": 0}):
        with pytest.raises(SettingError, match="at least 1"):
            Bananas(small_space, Doubtful(), **wrong)
    with pytest.raises(SettingError, match="choose an ensemble"):
        drive(Bananas(small_space, Doubtful(std=None)), answer, 3)
    with pytest.raises(SettingError, match="unknown predictor"):
        make_search("bananas", SearchRequest(space=small_space, options={"predictor": "magic"}))
