from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.search.base import Observations
from pnas_sim.search.hyperband import Hyperband, Rung, find_ladder, plan_brackets
from pnas_sim.space import CellSpace

FIDELITIES = (1.0, 3.0, 9.0, 27.0, 81.0)
# n_i and r_i of each bracket for R = 81, eta = 3, by hand: n = ceil(B / R * eta^s / (s + 1)) with B = 5 R
BRACKETS = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]


def test_brackets_are_those_of_algorithm_1() -> None:
    ladder = find_ladder(FIDELITIES, 3)
    assert ladder == (81, 27, 9, 3, 1)
    planned = [[(rung.cells, rung.epochs) for rung in bracket] for bracket in plan_brackets(ladder, 3)]
    assert planned == BRACKETS


@pytest.mark.parametrize(
    ("fidelities", "eta", "ladder"),
    [
        ((0.25, 0.5, 0.75, 1.0), 2, (1.0, 0.5, 0.25)),
        ((0.25, 0.5, 0.75, 1.0), 3, (1.0, 0.25)),
        ((0.25, 0.5, 0.75, 1.0), 4, (1.0, 0.25)),
        ((1.0, 5.0, 10.0, 20.0), 3, (20.0, 5.0, 1.0)),
        (tuple(np.arange(1.0, 101.0)), 10, (100.0, 10.0, 1.0)),
        ((2.0, 3.5, 10.0, 18.0), 3, (18.0, 10.0, 2.0)),  # of 6: 10 is nearer by ratio, 3.5 by difference
        ((1.0, 3.0, 9.0, 27.0, 81.0, 243.0), 3, (243.0, 81.0, 27.0, 9.0, 3.0, 1.0)),  # log 243 is 4.99...
    ],
)
def test_rungs_are_the_nearest_known_fidelities(fidelities, eta: int, ladder) -> None:
    assert find_ladder(fidelities, eta) == ladder


def answer_longer_better(cells: np.ndarray, epochs: float) -> np.ndarray:
    return (np.where(cells == 255, 0, cells) @ np.arange(1, cells.shape[1] + 1)) / 10_000 + epochs / 1000


def run(search: Hyperband, batches: int, n: int, fail=None) -> list:
    trace = []
    for _ in range(batches):
        proposals = search.ask(n)
        values = answer_longer_better(proposals.cells, proposals.epochs)
        status = np.zeros(len(proposals), np.uint8) if fail is None else fail(proposals.cells)
        observations = Observations(np.where(status == 2, np.nan, values), status)
        search.tell(observations)
        trace.append((proposals, observations))
    return trace


@pytest.mark.parametrize("n", [1000, 7])
def test_runs_the_brackets_by_hand(small_space, n: int) -> None:
    """Two rounds of all brackets: sizes, epochs, and who is sent up."""
    search = Hyperband(small_space, FIDELITIES, seed=1)
    for _ in range(2):
        for bracket in BRACKETS:
            above = None
            for place, (size, epochs) in enumerate(bracket):
                cells: list[list[int]] = []
                while len(cells) < size:
                    proposals = search.ask(n)
                    assert proposals.epochs == epochs
                    assert len(proposals) <= n
                    cells += proposals.cells.tolist()
                    values = answer_longer_better(proposals.cells, epochs)
                    search.tell(Observations.ok(values))
                assert len(cells) == size
                assert place == 0 or cells == above
                ranked = sorted(cells, key=lambda cell: -answer_longer_better(np.array([cell]), 0.0)[0])
                above = ranked[: size // 3]


def test_fewer_rungs_and_brackets_are_the_top_of_the_ladder_and_the_first_of_the_round(small_space) -> None:
    def list_epochs(**options: int) -> list[float]:
        trace = run(Hyperband(small_space, FIDELITIES, **options), 9, 1000)
        return [proposals.epochs for proposals, _ in trace]

    assert list_epochs(rungs=2) == [27, 81, 81] * 3
    assert list_epochs(rungs=9) == list_epochs()
    assert list_epochs(brackets=1) == [1, 3, 9, 27, 81, 1, 3, 9, 27]
    assert list_epochs(rungs=3, brackets=2) == [9, 27, 81, 27, 81, 9, 27, 81, 27]
    for wrong, words in (
        ({"rungs": 1}, "rungs is 1; it must be 0"),
        ({"rungs": -1}, "rungs is -1"),
        ({"brackets": -2}, "brackets is -2"),
    ):
        with pytest.raises(SettingError, match=words):
            Hyperband(small_space, FIDELITIES, **wrong)


def test_brackets_draw_new_cells_every_time(small_space) -> None:
    trace = run(Hyperband(CellSpace(), (0.25, 1.0), seed=1), 9, 1000)
    firsts = [proposals.cells.tolist() for proposals, _ in trace[::3]]
    assert len(firsts) == 3
    assert firsts[0] != firsts[1] != firsts[2]
    other = Hyperband(CellSpace(), (0.25, 1.0), seed=2).ask(1000)
    assert other.cells.tolist() != firsts[0]


def test_failed_children_are_not_sent_up(small_space) -> None:
    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] != 0, 2, 0).astype(np.uint8)

    trace = run(Hyperband(small_space, FIDELITIES, seed=3), 5, 1000, fail)
    for proposals, _ in trace[1:]:
        if proposals.epochs > 1:
            assert (proposals.cells[:, 2] == 0).all()
    lost = run(Hyperband(small_space, FIDELITIES), 6, 1000, lambda cells: np.full(len(cells), 2, np.uint8))
    assert [(len(proposals), proposals.epochs) for proposals, _ in lost] == [
        *((rungs[0][0], rungs[0][1]) for rungs in BRACKETS),
        BRACKETS[0][0],
    ]


@pytest.mark.parametrize("cut", [1, 2, 7, 19])
def test_replay_goes_on_as_live(small_space, cut: int) -> None:
    live = run(Hyperband(small_space, FIDELITIES, batch=20, seed=7), 25, 1000)
    search = Hyperband(small_space, FIDELITIES, batch=20, seed=7)
    for proposals, observations in live[:cut]:
        search.replay(proposals, observations)
    for ours, theirs in zip(run(search, 25 - cut, 1000), live[cut:], strict=True):
        assert ours[0].cells.tolist() == theirs[0].cells.tolist()
        assert ours[0].epochs == theirs[0].epochs


@pytest.mark.parametrize(
    ("fidelities", "words"),
    [((), "no list of epochs"), ((1.0,), "1 epochs only"), ((0.75, 1.0), "choose a smaller one")],
)
def test_too_few_fidelities_are_said_in_one_line(small_space, fidelities, words: str) -> None:
    with pytest.raises(SettingError, match=words) as error:
        make_search("hyperband", SearchRequest(space=small_space, fidelities=fidelities))
    assert "\n" not in str(error.value)


def test_misuse_is_explained(small_space, demand_turns) -> None:
    demand_turns(Hyperband(small_space, FIDELITIES))
    with pytest.raises(SettingError, match="eta is 1; it must be a whole number of at least 2"):
        Hyperband(small_space, FIDELITIES, eta=1)
    with pytest.raises(SettingError, match="batch is 0"):
        Hyperband(small_space, FIDELITIES, batch=0)
    assert Rung(3, 1.0) == Rung(cells=3, epochs=1.0)
