from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError
from pnas_sim.predict import ExpansionPredictor, Prediction
from pnas_sim.predict.ridge import RidgePredictor
from pnas_sim.search import Observations, Pnas, SearchRequest, make_search
from pnas_sim.search.pnas import _find_best
from pnas_sim.space import CellSpace

GOLDEN = Path(__file__).parent / "golden_pnas.json"
OPERATIONS = ("sep3", "id", "max3")


def drive(search: Pnas, answer, n: int = 10_000, fail=lambda cells: np.zeros(len(cells), np.uint8)) -> list:
    """Runs a search to its end; returns every (proposals, observations)."""
    trace = []
    while len(proposals := search.ask(n)):
        status = fail(proposals.cells)
        values = np.where(status == 2, np.nan, np.where(status == 1, 0.125, answer(proposals.cells)))
        observations = Observations(values, status)
        search.tell(observations)
        trace.append((proposals, observations))
    return trace


def join(trace: list) -> list[list[int]]:
    return np.concatenate([proposals.cells for proposals, _ in trace]).tolist()


# The reference: nested loops over tuples of blocks and a dictionary, nothing of the space's own code.


def find_smallest(blocks: tuple) -> tuple:
    """The smallest equal cell, by trying every order of the blocks."""
    forms = []
    for order in itertools.permutations(range(len(blocks))):
        place = {0: 0, 1: 1, **{old + 2: new + 2 for new, old in enumerate(order)}}
        renamed = []
        for old in order:
            i1, i2, o1, o2 = blocks[old]
            halves = sorted([(place[i1], o1), (place[i2], o2)])
            renamed.append((halves[0][0], halves[1][0], halves[0][1], halves[1][1]))
        if all(max(block[:2]) < place + 2 for place, block in enumerate(renamed)):
            forms.append(tuple(renamed))
    return min(forms)


def list_blocks(inputs: int, operations: int) -> list[tuple]:
    sizes = (range(inputs), range(inputs), range(operations), range(operations))
    return [b for b in itertools.product(*sizes) if (b[0], b[2]) <= (b[1], b[3])]


def search_by_hand(space: CellSpace, predictor, answer, beam: int) -> list[list[int]]:
    """Algorithm 1 of the paper, the slow way; returns the cells trained, in order."""

    def write(cell: tuple) -> np.ndarray:
        row = np.full(space.width, 255, np.uint8)
        row[: 4 * len(cell)] = np.array(cell).ravel()
        return row

    operations = len(space.operations)
    level = [(block,) for block in list_blocks(2, operations)]
    trained = list(level)
    for size in range(2, space.max_blocks + 1):
        rows = np.array([write(cell) for cell in trained])
        predictor.fit(rows, answer(rows), 0)
        best: dict[tuple, tuple[float, int]] = {}
        children = [(*cell, block) for cell in level for block in list_blocks(size + 1, operations)]
        for index, child in enumerate(children):
            score = float(predictor.predict(write(child)[None]).mean[0])
            key, form = (-score, index), find_smallest(child)
            best[form] = min(best.get(form, key), key)
        level = sorted(best, key=lambda form: best[form])[:beam]
        trained += level
    return [write(cell).tolist() for cell in trained]


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operations=st.integers(1, 3),
    blocks=st.integers(1, 3),
    beam=st.integers(1, 8),
    salt=st.integers(0, 50),
    batch=st.integers(1, 30),
)
def test_agrees_with_algorithm_1_by_hand(
    make_integer_predictor, answer, operations: int, blocks: int, beam: int, salt: int, batch: int
) -> None:
    space = CellSpace(OPERATIONS[:operations], blocks)
    search = Pnas(space, make_integer_predictor(salt), beam=beam, batch=batch)
    by_hand = search_by_hand(space, make_integer_predictor(salt), answer, beam)
    assert join(drive(search, answer)) == by_hand


def trace_golden(space: CellSpace, make_predictor, answer) -> list[dict]:
    """Every batch of one whole small search, as JSON."""
    trace = drive(Pnas(space, make_predictor(), beam=5, batch=4, seed=3), answer)
    return [
        {
            "cells": space.format_many(proposals.cells),
            "predicted": None if proposals.predicted is None else proposals.predicted.tolist(),
            "candidates": proposals.candidates,
            "unique": proposals.unique,
            "told": observations.valid_accuracy.tolist(),
        }
        for proposals, observations in trace
    ]


def test_golden_trace(make_integer_predictor, answer, small_space) -> None:
    """`golden_pnas.json` is written by `write_golden_pnas.py`, never by this test."""
    assert trace_golden(small_space, make_integer_predictor, answer) == json.loads(GOLDEN.read_text())


def test_the_papers_counts(make_integer_predictor, answer) -> None:
    trace = drive(Pnas(CellSpace(), make_integer_predictor(), beam=256), answer)
    assert [len(proposals) for proposals, _ in trace] == [136, 256, 256, 256, 256]
    assert [proposals.candidates for proposals, _ in trace] == [136, 40_800, 135_168, 209_920, 301_056]
    assert trace[1][0].unique == 31_620


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_the_size_of_batches_changes_nothing_else(make_integer_predictor, answer, small_space, n) -> None:
    whole = join(drive(Pnas(small_space, make_integer_predictor(), beam=9), answer))
    trace = drive(Pnas(small_space, make_integer_predictor(), beam=9), answer, n)
    assert join(trace) == whole
    assert max(len(proposals) for proposals, _ in trace) <= n


def test_refits_on_everything_so_far(make_integer_predictor, answer, small_space) -> None:
    predictor = make_integer_predictor()
    trained = join(drive(Pnas(small_space, predictor, beam=5, seed=8), answer))
    assert [len(cells) for cells, _, _ in predictor.fits[:2]] == [21, 26]
    for cells, accuracies, _ in predictor.fits:
        assert cells.tolist() == trained[: len(cells)]
        assert accuracies.tolist() == answer(cells).tolist()


def test_each_fit_has_a_seed_of_its_own(make_integer_predictor, answer, small_space) -> None:
    seeds = []
    for seed in (0, 1, 0):
        predictor = make_integer_predictor()
        drive(Pnas(small_space, predictor, beam=5, seed=seed), answer)
        seeds.append([one for _, _, one in predictor.fits[:2]])
    assert seeds[0] == seeds[2] and len({*seeds[0], *seeds[1]}) == 4


def test_failed_children_are_left_out_and_diverged_ones_are_not(
    make_integer_predictor, answer, small_space
) -> None:
    predictor = make_integer_predictor()

    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 0, 2, np.where(cells[:, 2] == 1, 1, 0)).astype(np.uint8)

    trace = drive(Pnas(small_space, predictor, beam=1000), answer, fail=fail)
    proposals, observations = trace[1]
    expandable = int((trace[0][1].status != 2).sum())
    assert proposals.candidates == expandable * len(small_space.expansion_blocks(1))
    assert (observations.status == 2).any()
    for cells, accuracies, _ in predictor.fits:
        assert (cells[:, 2] != 0).all()
        assert (accuracies[cells[:, 2] == 1] == 0.125).all()
        assert (cells[:, 2] == 1).any()


def test_ends_where_a_whole_level_failed(make_integer_predictor, answer, small_space) -> None:
    search = Pnas(small_space, make_integer_predictor(), beam=5)

    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(small_space.block_counts(cells) == 2, 2, 0).astype(np.uint8)

    assert [len(proposals) for proposals, _ in drive(search, answer, fail=fail)] == [21, 5]
    assert len(search.ask(5)) == 0


class Continuing:
    """A predictor whose every fit goes on from the one before, as one that finetunes does."""

    def __init__(self, inner) -> None:
        self.inner, self.fits, self.state = inner, inner.fits, 0

    def fit(self, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        self.inner.fit(cells, accuracies, seed)
        self.state = (self.state * 5 + len(cells)) % 64

    def predict(self, cells: np.ndarray) -> Prediction:
        return Prediction(mean=(self.inner.predict(cells).mean * 64 + self.state * cells[:, 2]) % 64 / 64)


@pytest.mark.parametrize("cut", range(1, 10))
@pytest.mark.parametrize("restarts", [True, False])
def test_replay_goes_on_as_if_it_had_been_live_and_fits_only_to_score(
    make_integer_predictor, answer, small_space, cut: int, restarts: bool
) -> None:
    def make() -> tuple:
        predictor = make_integer_predictor()
        used = predictor if restarts else Continuing(predictor)
        return Pnas(small_space, used, beam=9, batch=5, seed=4, restarts=restarts), predictor

    live = drive(make()[0], answer)  # batches of 5, 5, 5, 5, 1; 5, 4; 5, 4
    search, predictor = make()
    for proposals, observations in live[:cut]:
        search.replay(proposals, observations)
    assert (predictor.scored, predictor.fits) == (0, [])
    rest = drive(search, answer)
    assert join(live[:cut] + rest) == join(live)
    for ours, theirs in zip(rest, live[cut:], strict=True):
        assert repr(ours) == repr(theirs)  # predictions and counts, too
    if cut < 9:
        whole = [len(cells) for cells, _, _ in predictor.fits]
        assert whole == ([21, 30] if cut <= 6 else [30] if restarts else [21, 30])
    else:
        assert (predictor.scored, predictor.fits) == (
            0,
            [],
        )  # a whole beam was told: nothing is left to score


def test_made_by_name_it_knows_which_predictors_restart(
    answer, small_space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "someones_ridge.py").write_text(
        "from pnas_sim.predict.ridge import RidgePredictor, RidgeSettings\n\n"
        "def make(space):\n    return RidgePredictor(space, RidgeSettings())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    fits = []
    fit = RidgePredictor.fit

    def count(self: RidgePredictor, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        fits.append(len(cells))
        fit(self, cells, accuracies, seed)

    monkeypatch.setattr(RidgePredictor, "fit", count)
    for predictor, expected in (("ridge", [26]), ("someones_ridge:make", [21, 26])):
        options = {"predictor": predictor, "beam": 5, "batch": 5}
        live, resumed = (make_search("pnas", SearchRequest(space=small_space, options=options)) for _ in "ab")
        for proposals, observations in drive(live, answer)[:6]:
            resumed.replay(proposals, observations)
        fits.clear()
        resumed.ask(5)
        assert fits == expected


class Expanding:
    """A predictor that scores expansions by their parents, and is never to be asked for rows."""

    def __init__(self, inner, space: CellSpace) -> None:
        self.inner, self.space, self.fit = inner, space, inner.fit
        self.parents: list[np.ndarray] = []

    def predict(self, cells: np.ndarray) -> Prediction:
        raise AssertionError("asked for rows")

    def predict_expansions(self, parents: np.ndarray) -> Prediction:
        self.parents.append(parents)
        return self.inner.predict(self.space.expand(parents).cells)


def test_predictors_that_score_expansions_are_given_the_parents(
    make_integer_predictor, answer, small_space
) -> None:
    predictor = Expanding(make_integer_predictor(), small_space)
    assert isinstance(predictor, ExpansionPredictor)
    trace = drive(Pnas(small_space, predictor, beam=9, batch=5), answer)
    rows = drive(Pnas(small_space, make_integer_predictor(), beam=9, batch=5), answer)
    assert repr(trace) == repr(rows)
    told = join(trace)
    assert [parents.tolist() for parents in predictor.parents] == [told[:21], told[21:30]]


@settings(deadline=None, max_examples=80)
@given(
    draws=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), min_size=1, max_size=60),
    beam=st.integers(1, 25),
)
def test_the_best_are_those_of_a_full_sort(draws: list[tuple[int, int]], beam: int) -> None:
    space = CellSpace(OPERATIONS, 1)
    cells = space.initial()[[place for place, _ in draws]]
    scores = np.array([score / 8 for _, score in draws])
    first, cell = space.unique(cells)
    chosen = _find_best(cell, len(first), scores, beam)
    ranked: dict[int, int] = {}
    for row in sorted(range(len(draws)), key=lambda row: (-draws[row][1], row)):
        ranked.setdefault(draws[row][0], row)
    assert chosen.tolist() == list(ranked.values())[:beam]


@pytest.mark.parametrize("fault", ["nan", "infinite", "short"])
def test_a_predictor_that_gives_no_numbers_is_named(
    make_integer_predictor, answer, small_space, fault: str
) -> None:
    predictor = make_integer_predictor()
    whole = predictor.predict

    def spoil(cells: np.ndarray) -> Prediction:
        mean = whole(cells).mean
        if fault == "short":
            return Prediction(mean=mean[1:])
        mean[3] = {"nan": np.nan, "infinite": np.inf}[fault]
        return Prediction(mean=mean)

    predictor.predict = spoil
    complaint = r"conftest.IntegerPredictor gave .* for \d+ cells; give (one for each|float64)"
    with pytest.raises(SettingError, match=complaint):
        drive(Pnas(small_space, predictor, beam=5), answer)


def test_the_largest_size_may_be_one_block(make_integer_predictor, answer) -> None:
    space = CellSpace(OPERATIONS, 1)
    assert join(drive(Pnas(space, make_integer_predictor(), beam=1), answer)) == space.initial().tolist()


def test_misuse_is_explained(make_integer_predictor, small_space) -> None:
    for setting in ({"beam": 0}, {"batch": 0}):
        with pytest.raises(SettingError, match="at least 1"):
            Pnas(small_space, make_integer_predictor(), **setting)
    search = Pnas(small_space, make_integer_predictor())
    with pytest.raises(SettingError, match="without ask"):
        search.tell(Observations.ok(np.zeros(3)))
    search.ask(4)
    with pytest.raises(SettingError, match="4 cells"):
        search.tell(Observations.ok(np.zeros(3)))
    with pytest.raises(SettingError, match="without tell"):
        search.ask(4)
    search.tell(Observations.ok(np.zeros(4)))
    assert len(search.ask(4)) == 4
