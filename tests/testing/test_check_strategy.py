from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.space import CellSpace
from pnas_sim.testing.strategies import check_strategy

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)


@pytest.mark.parametrize("space", [SPACE, CellSpace(operations=("id",), max_blocks=1)])
@pytest.mark.parametrize("name", ["random", "random-raw"])
def test_random_keeps_the_contract(space: CellSpace, name: str) -> None:
    check_strategy(name, space, seed_matters=space is SPACE)


@pytest.mark.parametrize("space", [SPACE, CellSpace(operations=("id", "sep5"), max_blocks=2)])
def test_pnas_keeps_the_contract_to_its_end(space: CellSpace) -> None:
    check_strategy("pnas", space, seed_matters=False, n=16, batches=30, predictor="ridge", beam=12, batch=16)


def test_the_papers_space_keeps_the_contract() -> None:
    check_strategy("pnas", CellSpace(), seed_matters=False, n=136, batches=3, predictor="ridge", beam=20)


class Broken:
    """A climber that mutates the best cell so far, with one thing done wrong."""

    made = 0

    def __init__(self, request: SearchRequest, fault: str, cells: int = 40) -> None:
        self.space, self.fault, self.left = request.space, fault, cells
        self.seed = 0 if fault == "ignores its seed" else request.seed
        self.number, self.best, self.score = 0, self.space.initial()[:1], -1.0
        self.asked: Proposals | None = None
        self.rng = np.random.default_rng(self.seed)
        self.buffer = np.zeros((8, self.space.width), np.uint8)
        Broken.made += 1
        self.order = Broken.made

    def draw(self) -> np.random.Generator:
        if self.fault == "keeps one stream":
            return self.rng
        if self.fault == "draws without a seed":
            return np.random.default_rng()
        extra = {
            "draws from the global NumPy": lambda: np.random.randint(1000),  # noqa: NPY002
            "draws from the global random": lambda: random.randrange(1000),
            "shares state": lambda: Broken.made,
        }.get(self.fault, lambda: 0)
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.number, int(extra())]))

    def ask(self, n: int) -> Proposals:
        if n < 1 and self.fault != "takes any n":
            raise SettingError(f"asked for {n} cells")
        if self.asked is not None and self.fault != "asks twice":
            raise SettingError("ask without tell")
        if self.left == 0 and self.fault == "wakes up again":
            self.left = 1
            return Proposals(cells=self.space.initial()[:0])
        count = max(0, min(n, self.left)) + (self.fault == "gives too many")
        cells = self.space.mutate(np.repeat(self.best, count, axis=0), self.draw())
        self.asked = self.spoil(Proposals(cells=cells, predicted=np.full(count, max(self.score, 0.0))))
        if len(cells) == 0:
            self.asked, finished = None, self.asked
            return finished
        return self.asked

    def spoil(self, proposals: Proposals) -> Proposals:
        cells, count = proposals.cells, len(proposals)
        if self.fault == "leaves the space":
            cells[-1:, 2] = 77
        if self.fault == "reuses its array":
            self.buffer[:count] = cells
            return replace(proposals, cells=self.buffer[:count])
        changes = {
            "gives integers": {"cells": cells.astype(np.int64)},
            "gives narrow rows": {"cells": cells[:, :4]},
            "predicts too few": {"predicted": np.zeros(count + 1)},
            "predicts nothing known": {"predicted": np.full(count, np.nan)},
            "asks for odd epochs": {"epochs": 3.0},
            "asks for no epochs": {"epochs": -1.0},
            "counts wrongly": {"candidates": 3, "unique": 4},
            "counts on": {"candidates": self.order, "unique": 1},
        }
        return replace(proposals, **changes.get(self.fault, {}))

    def tell(self, observations: Observations) -> None:
        if self.asked is None:
            if self.fault == "takes any tell":
                return
            raise SettingError("tell without ask")
        if self.fault == "explains at length" and len(observations) > len(self.asked):
            raise SettingError("too\nmany")
        if len(observations) != len(self.asked) and self.fault != "takes any number":
            raise SettingError("tell of another size")
        if self.fault == "fails on failures" and np.isnan(observations.valid_accuracy).any():
            raise ZeroDivisionError
        self.take(self.asked, observations)
        if self.fault == "changes what it is told":
            observations.valid_accuracy[:] = 0
        self.asked = None

    def take(self, proposals: Proposals, observations: Observations) -> None:
        values = np.nan_to_num(observations.valid_accuracy, nan=-1.0)
        self.number, self.left = self.number + 1, self.left - len(proposals)
        if values.max() > self.score:
            self.score, at = float(values.max()), int(values.argmax())
            self.best = self.space.canonical(proposals.cells)[at : at + 1]

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        if self.fault == "forgets what is replayed":
            self.number += 1
        elif self.fault == "never ends after a replay":
            self.left += len(proposals)
            self.take(proposals, observations)
        else:
            self.take(proposals, observations)


FAULTS = {
    "ignores its seed": "seeds 0 and 1 ask for the same cells",
    "keeps one stream": "differs after a replay of the first 1",
    "draws without a seed": "ask for the same cells|the same seed asks for other cells",
    "draws from the global NumPy": "the same seed asks for other cells",
    "draws from the global random": "the same seed asks for other cells",
    "shares state": "the same seed asks for other cells beside another search",
    "takes any n": "ask for 0 cells is not refused",
    "asks twice": "ask without tell is not refused",
    "takes any tell": "tell before ask is not refused",
    "takes any number": "fewer answers than cells",
    "wakes up again": "a finished search asks for cells again",
    "gives too many": "9 cells where at most 8 were asked for",
    "leaves the space": "batch 0 holds a cell outside the space",
    "reuses its array": "its cells change after the ask",
    "gives integers": "not uint8",
    "gives narrow rows": "not uint8",
    "predicts too few": "predicted is not float64",
    "predicts nothing known": "a prediction is not finite",
    "asks for odd epochs": r"epochs is 3.0, none of \[1.0, 2.0\]",
    "asks for no epochs": "epochs is -1.0",
    "counts wrongly": "4 unique of 3 candidates",
    "counts on": "its counts of candidates",
    "explains at length": "not one line",
    "changes what it is told": "changes the accuracies",
    "forgets what is replayed": "differs after a replay of the first 1",
    "never ends after a replay": "goes on after a replay|differs after a replay",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str) -> None:
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_strategy(lambda request: Broken(request, fault), SPACE, batches=9, fidelities=(1.0, 2.0))


def test_a_search_that_raises_on_failed_children_is_found() -> None:
    with pytest.raises(ZeroDivisionError):
        check_strategy(lambda request: Broken(request, "fails on failures"), SPACE)


def test_a_search_that_seeds_the_global_generators_is_found() -> None:
    def seed_and_make(request: SearchRequest) -> Broken:
        random.seed(request.seed)
        return Broken(request, "draws from the global random")

    with pytest.raises(AssertionError, match=r"uses the global generator of random|other cells"):
        check_strategy(seed_and_make, SPACE)


def test_a_search_that_asks_for_nothing_is_found() -> None:
    with pytest.raises(AssertionError, match="asks for nothing"):
        check_strategy(lambda request: Broken(request, "none", cells=0), SPACE)


@pytest.mark.parametrize("batches", [3, 9])
def test_a_sound_search_without_a_name_passes(batches: int) -> None:
    check_strategy(lambda request: Broken(request, "none"), SPACE, batches=batches)


SOURCE = """
from pnas_sim.search.evolution import Evolution

def create(request):
    return Evolution(request.space, **request.options, seed=request.seed + hash("salt") % 1000)
"""


def test_a_search_that_differs_between_processes_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hashing_search_fixture.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for factory in ("hashing_search_fixture:create", __import__("hashing_search_fixture").create):
        with pytest.raises(AssertionError, match="another process"):
            check_strategy(factory, SPACE, population=6)
