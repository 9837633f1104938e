from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError
from pnas_sim.predict import Prediction, make_predictor
from pnas_sim.search import Observations, Pnas
from pnas_sim.search.acquisition import Acquisition, take_turns
from pnas_sim.search.base import SearchRequest
from pnas_sim.search.catalogue import make_search
from pnas_sim.space import CellSpace

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
FEW = {"embedding": 6, "hidden": 6, "epochs": 2}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Made:
    """A predictor whose mean, std and members are made of the tokens."""

    def __init__(self, **has: bool) -> None:
        self.has = has

    def fit(self, cells, accuracies, seed=0) -> None: ...

    def predict(self, cells) -> Prediction:
        tokens = np.where(cells == 255, 0, cells).astype(float)
        one, other = (np.modf(tokens @ np.linspace(a, b, cells.shape[1]))[0] for a, b in ((0.1, 3), (2, 0.7)))
        members = np.stack([one, other, (one + other) / 2])
        return Prediction(
            mean=members.mean(axis=0),
            std=np.abs(one - other) if self.has.get("std") else None,
            members=members if self.has.get("members") else None,
        )


def run(predictor: object, acquisition: Acquisition, seed: int = 0, beam: int = 8) -> list[np.ndarray]:
    search = Pnas(SPACE, predictor, beam=beam, seed=seed, acquisition=acquisition)
    levels = []
    while len(asked := search.ask(1_000)):
        levels.append(asked)
        search.tell(Observations.ok(0.3 + 0.01 * (asked.cells == 1).sum(axis=1)))
    return levels


def cells_of(levels: list) -> list:
    return [level.cells.tolist() for level in levels]


def test_ucb_without_hope_is_greedy_and_with_hope_is_not() -> None:
    made = Made(std=True)
    greedy = run(made, Acquisition())
    assert cells_of(run(made, Acquisition("ucb", 0.0))) == cells_of(greedy)
    hopeful = run(made, Acquisition("ucb", 2.0))
    assert cells_of(hopeful) != cells_of(greedy)
    for level in hopeful[1:]:
        answer = made.predict(level.cells)
        assert level.predicted is not None
        # what is told of a cell is its mean, not what it was chosen by; the row scored may be another of it
        assert (level.predicted <= 1).all() and answer.std is not None


def test_ucb_takes_the_highest_sums_of_the_pool() -> None:
    made = Made(std=True)
    levels = run(made, Acquisition("ucb", 1.5))
    pool = SPACE.expand(levels[0].cells).cells
    answer = made.predict(pool)
    hope = answer.mean + 1.5 * answer.std
    best: dict[bytes, float] = {}
    for key, score in zip(SPACE.list_keys(SPACE.canonical(pool)), hope, strict=True):
        best[key] = max(score, best.get(key, -np.inf))
    highest = sorted(best.values(), reverse=True)[:8]
    assert [best[key] for key in SPACE.list_keys(levels[1].cells)] == highest


def test_thompson_gives_every_member_turns_and_takes_no_cell_twice() -> None:
    made = Made(members=True)
    levels = run(made, Acquisition("thompson"), beam=30)
    for level in levels[1:]:
        assert len(set(SPACE.list_keys(level.cells))) == 30
    pool = SPACE.canonical(SPACE.expand(levels[0].cells).cells)
    chosen = set(SPACE.list_keys(levels[1].cells))
    for member in made.predict(SPACE.expand(levels[0].cells).cells).members:
        assert SPACE.list_keys(pool[[int(member.argmax())]])[0] in chosen  # with 30 turns each has some


def test_thompson_is_fixed_by_the_seed() -> None:
    made = Made(members=True)
    one = cells_of(run(made, Acquisition("thompson"), seed=1))
    assert one == cells_of(run(made, Acquisition("thompson"), seed=1))
    assert one != cells_of(run(made, Acquisition("thompson"), seed=2))


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_a_replayed_search_goes_on_alike(name: str) -> None:
    def make() -> Pnas:
        predictor = make_predictor("mlp-ensemble", SPACE, **FEW)
        return Pnas(SPACE, predictor, beam=6, batch=4, seed=3, acquisition=Acquisition(name))

    whole, batches = make(), []
    while len(asked := whole.ask(100)):
        seen = Observations.ok(0.3 + 0.01 * (asked.cells == 1).sum(axis=1))
        batches.append((asked, seen))
        whole.tell(seen)
    for cut in range(len(batches)):
        again = make()
        for asked, seen in batches[:cut]:
            again.replay(asked, seen)
        assert np.array_equal(again.ask(100).cells, batches[cut][0].cells)


@pytest.mark.parametrize(("name", "lacks"), [("ucb", "std"), ("thompson", "members")])
def test_a_predictor_without_uncertainty_is_refused_before_anything_is_trained(name, lacks) -> None:
    request = SearchRequest(space=SPACE, seed=0, options={"predictor": "ridge", "acquisition": name})
    with pytest.raises(SettingError, match=rf"acquisition {name} needs a predictor with {lacks}.*ensemble"):
        make_search("pnas", request)
    greedy = SearchRequest(space=SPACE, seed=0, options={"predictor": "ridge"})
    assert len(make_search("pnas", greedy).ask(5)) == 5


@pytest.mark.parametrize("name", ["gp", "knn"])
def test_a_process_has_hope_but_no_members(name: str) -> None:
    hopeful = SearchRequest(space=SPACE, seed=0, options={"predictor": name, "acquisition": "ucb"})
    assert len(make_search("pnas", hopeful).ask(5)) == 5
    drawing = SearchRequest(space=SPACE, seed=0, options={"predictor": name, "acquisition": "thompson"})
    with pytest.raises(SettingError, match="members"):
        make_search("pnas", drawing)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"acquisition": "hope"}, "acquisition is 'hope'; it must be one of greedy, ucb, thompson"),
        ({"acquisition": "ucb", "kappa": -1.0}, "kappa is -1.0"),
        ({"kappa": 2.0}, "kappa is 2.0; acquisition greedy has none"),
        ({"acquisition": "ucb", "kappa": float("nan")}, "kappa is nan"),
    ],
)
def test_options_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make_search("pnas", SearchRequest(space=SPACE, seed=0, options=options))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("ucb", lambda n: Prediction(np.zeros(n), std=np.full(n, np.nan))),
        ("ucb", lambda n: Prediction(np.zeros(n), std=np.zeros(n - 1))),
        ("thompson", lambda n: Prediction(np.zeros(n), members=np.zeros((2, n + 1)))),
    ],
)
def test_uncertainty_that_is_no_number_is_named(name: str, spoil) -> None:
    with pytest.raises(SettingError, match="is not a finite number for each cell"):
        Acquisition(name).assign(spoil(5), 3, rng())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 4))
def test_turns_fill_the_beam_with_distinct_cells(seed: int, beam: int, members: int) -> None:
    draws = np.random.default_rng(seed)
    cell = draws.integers(0, 9, 30)
    cells = np.unique(cell)
    # members that score a cell's rows differently name it by other rows
    rows_of = [[int(draws.choice(np.flatnonzero(cell == one))) for one in cells] for _ in range(members)]
    ranked = [draws.permutation(rows)[:beam] for rows in rows_of]
    order = draws.integers(0, members, beam)
    rows = take_turns(ranked, cell, order)
    taken: list[int] = []  # by hand: each turn's best row of a cell that nobody took
    for turn in order.tolist():
        left = [row for row in ranked[turn].tolist() if cell[row] not in cell[taken]]
        taken += left[:1]
    assert rows.tolist() == taken
    assert len(rows) == min(beam, len(cells))
    assert len(set(cell[rows].tolist())) == len(rows)
    assert rows[0] == ranked[order[0]][0]
    if members == 1:
        assert rows.tolist() == ranked[0].tolist()
