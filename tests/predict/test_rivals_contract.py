from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import CellError, SettingError
from pnas_sim.predict import make_predictor
from pnas_sim.search import Observations, Pnas
from pnas_sim.space import CellSpace
from pnas_sim.testing.predictors import check_predictor

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
FEW = {"gbt": {"trees": 5}, "forest": {"trees": 3}, "gp": {"steps": 3}}
RIVALS = "gbt", "forest", "gp", "knn", "log-parameters", "multiply-adds", "depth"
UNSURE = "gbt", "forest", "gp", "knn"


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_keep_the_contract(name: str) -> None:
    check_predictor(name, SPACE, **FEW.get(name, {}))


def test_the_example_keeps_the_contract(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    check_predictor("own_predictor:make", SPACE)


@pytest.mark.parametrize("name", RIVALS)
def test_every_row_of_a_cell_is_predicted_alike(paper_space, accuracy, name: str) -> None:
    rng = np.random.default_rng(0)
    fitted = paper_space.sample(40, rng, blocks=2)
    predictor = make_predictor(name, paper_space, **FEW.get(name, {}))
    predictor.fit(fitted, accuracy(fitted))
    raw = paper_space.sample(30, rng, blocks=4, unique=False)
    assert np.allclose(
        predictor.predict(raw).mean, predictor.predict(paper_space.canonical(raw)).mean, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("name", RIVALS)
def test_the_order_of_cells_and_earlier_fits_do_not_matter(paper_space, accuracy, name: str) -> None:
    rng = np.random.default_rng(1)
    cells = np.concatenate([paper_space.initial(), paper_space.sample(30, rng, blocks=2)])
    values, order = accuracy(cells), rng.permutation(len(cells))
    one = make_predictor(name, paper_space, **FEW.get(name, {}))
    other = make_predictor(name, paper_space, **FEW.get(name, {}))
    one.fit(cells, values, 3)
    other.fit(cells[:20], values[:20], 1)
    other.fit(cells[order], values[order], 3)
    assert np.array_equal(one.predict(cells).mean, other.predict(cells).mean)


@pytest.mark.parametrize("name", RIVALS)
def test_uncertainty_is_told_where_there_is_one(paper_space, accuracy, name: str) -> None:
    cells = paper_space.initial()
    predictor = make_predictor(name, paper_space, **FEW.get(name, {}))
    predictor.fit(cells, accuracy(cells), 0)
    answer = predictor.predict(paper_space.sample(50, np.random.default_rng(0), blocks=3))
    assert (answer.std is not None) == (name in UNSURE)
    assert (answer.members is not None) == (name in ("gbt", "forest"))
    if answer.std is not None:
        assert np.ptp(answer.std) > 1e-6
    if answer.members is not None:
        assert answer.members.shape == (5, 50)
        assert np.allclose(answer.members.mean(axis=0), answer.mean)


@pytest.mark.parametrize("name", RIVALS)
def test_bad_requests_are_refused(paper_space, name: str) -> None:
    predictor = make_predictor(name, paper_space)
    with pytest.raises(SettingError, match="not fitted yet"):
        predictor.predict(paper_space.initial())
    with pytest.raises(SettingError, match="seed is -1"):
        predictor.fit(paper_space.initial(), np.full(136, 0.5), -1)
    predictor.fit(paper_space.initial()[:3], np.array([0.4, 0.5, 0.6]))
    bad = paper_space.initial()[:1].copy()
    bad[0, 0] = 7
    with pytest.raises(CellError):
        predictor.predict(bad)


@pytest.mark.parametrize("name", RIVALS)
def test_pnas_searches_with_each(name: str) -> None:
    search = Pnas(SPACE, make_predictor(name, SPACE, **FEW.get(name, {})), beam=6, seed=0)
    sizes = []
    while len(asked := search.ask(100)):
        counts = SPACE.block_counts(asked.cells)
        sizes.append((int(counts[0]), len(asked)))
        search.tell(Observations.ok(0.4 + 0.01 * (asked.cells == 1).sum(axis=1)))
    assert sizes == [(1, len(SPACE.initial())), (2, 6), (3, 6)]


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("gbt", {"trees": 0}, "trees is 0"),
        ("gbt", {"learning_rate": 0}, "learning_rate is 0"),
        ("gbt", {"share": 1.5}, "share is 1.5"),
        ("forest", {"smallest_leaf": 0.5}, "smallest_leaf is 0.5"),
        ("forest", {"members": True}, "members is True"),
        ("gp", {"levels": 0}, "levels is 0"),
        ("gp", {"steps": -1}, "steps is -1"),
        ("knn", {"neighbours": 0}, "neighbours is 0"),
        ("log-parameters", {"filters": 0}, "filters is 0"),
        ("multiply-adds", {"cells_per_stage": "2"}, "cells_per_stage is '2'"),
    ],
)
def test_options_out_of_range_are_named(paper_space, name: str, options: dict, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        make_predictor(name, paper_space, **options)


def test_large_requests_are_answered_in_chunks(paper_space, accuracy, monkeypatch) -> None:
    cells = paper_space.sample(60, np.random.default_rng(0), blocks=3)
    predictor = make_predictor("knn", paper_space)
    predictor.fit(cells, accuracy(cells))
    rows: list[int] = []
    asked = paper_space.sample(10_000, np.random.default_rng(1), blocks=4)
    whole = predictor.predict(asked)
    describe = predictor._describe
    monkeypatch.setattr(
        predictor, "_describe", lambda space, cells: rows.append(len(cells)) or describe(space, cells)
    )
    again = predictor.predict(asked)
    assert max(rows) <= 4_096 and sum(rows) == 10_000
    assert np.array_equal(whole.mean, again.mean) and np.array_equal(whole.std, again.std)
