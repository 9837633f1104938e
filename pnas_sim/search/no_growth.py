"""PNAS without growth: the same predictor, K and rounds, but every candidate has all its blocks at once.

An ablation (what is it worth to go from small cells to large ones?), not a published method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
from pnas_sim.predict.asking import ask_predictor, demand_predictor
from pnas_sim.predict.base import Predictor
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns, demand_at_least
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

# (space, best cells so far, how many, random stream) -> candidates, `uint8[how many, width]`
Draw: TypeAlias = Callable[[CellSpace, Rows, int, np.random.Generator], Rows]


def draw_uniformly(space: CellSpace, best: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Unique cells of the largest size, uniformly; the best cells play no part."""
    return space.sample(count, rng)


def mutate_best(space: CellSpace, best: Rows, count: int, rng: np.random.Generator) -> Rows:
    """One mutation each of cells chosen uniformly among the best."""
    return space.mutate(best[rng.integers(0, len(best), count)], rng)


@dataclass(frozen=True, slots=True)
class _Round:
    """Chosen cells of a round, in order of their scores; as in PNAS, `candidates` counts what was scored."""

    cells: Rows
    predicted: Floats | None
    candidates: int
    unique: int


class NoGrowth:
    """In each of B rounds, trains the best-predicted of many cells of B blocks, the largest size.

    Round 1 trains as many random cells as there are one-block cells (136), so that rounds and models are
    those of PNAS. Before each other round the predictor is fitted on everything so far, scores `candidates`
    cells that were not trained yet, and the `beam` best are trained. Candidates are uniform over unique cells
    or, by `mutate_best`, mutations of random ones of the `beam` best cells so far. Failed children are left
    out of fits and parents; where all have failed, the search ends.

    Args:
        space: searched.
        predictor: unfitted.
        beam: K.
        candidates: drawn in each round, of which duplicates and known cells fall away. By default about as
            many as PNAS scores on its last level.
        draw: where candidates come from: `draw_uniformly` or `mutate_best`.
        batch: cells of an `ask`, at most.
        seed: round r draws from `SeedSequence([seed, r])`, whatever the batches.

    Raises:
        SettingError: beam, candidates or batch is below 1, a seed below 0, or it is no predictor.
    """

    def __init__(
        self,
        space: CellSpace,
        predictor: Predictor,
        beam: int = 256,
        candidates: int = 300_000,
        draw: Draw | None = None,
        batch: int = 256,
        seed: int = 0,
    ) -> None:
        demand_at_least(1, beam=beam, candidates=candidates, batch=batch)
        self._space, self._predictor = space, demand_predictor(predictor)
        self._beam, self._candidates, self._batch = beam, candidates, batch
        self._draw = draw_uniformly if draw is None else draw
        self._number = 1
        self._round: _Round | None = None  # None: still to be chosen, after a replay
        self._begin = 0  # cells told before this round
        self._cells: Rows = np.zeros((0, space.width), np.uint8)
        self._values: Floats = np.zeros(0)
        self._status: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._turns = Turns(seed)

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n and at most `batch`; empty after the last round.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        chosen = self._current()
        if self._told >= len(chosen.cells) > 0 and self._number < self._space.max_blocks:
            self._advance()
            chosen = self._current()
        part = slice(self._told, self._told + min(n, self._batch))
        first = self._told == 0
        return self._turns.give(
            Proposals(
                cells=chosen.cells[part],
                predicted=None if chosen.predicted is None else chosen.predicted[part],
                candidates=chosen.candidates if first else 0,
                unique=chosen.unique if first else 0,
            )
        )

    def tell(self, observations: Observations) -> None:
        """Takes the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        cells = self._turns.take(observations).cells
        self._cells = np.concatenate([self._cells, cells])
        self._values = np.concatenate([self._values, observations.valid_accuracy])
        self._status = np.concatenate([self._status, observations.status])

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; refits between rounds as before, but draws and scores nothing."""
        if proposals.candidates and self._told:  # only the first batch of a round says how many were scored
            self._advance()
        self._turns.give(proposals)
        self.tell(observations)

    @property
    def _told(self) -> int:
        """Cells told of this round."""
        return len(self._cells) - self._begin

    def _advance(self) -> None:
        """Fits on everything so far and goes on to the next round."""
        usable = self._status != Status.FAILED
        seed = int(np.random.SeedSequence([self._turns.seed, self._number]).generate_state(1)[0])
        if usable.any():
            self._predictor.fit(self._cells[usable], self._values[usable], seed)
        self._number += 1
        self._begin = len(self._cells)
        self._round = None

    def _current(self) -> _Round:
        if self._round is None:
            self._round = self._choose()
        return self._round

    def _choose(self) -> _Round:
        rng = np.random.default_rng(np.random.SeedSequence([self._turns.seed, self._number]))
        if self._number == 1:
            count = len(self._space.initial())
            drawn = self._leave_new(self._space.sample(count + count // 8 + 16, rng))[:count]
            return _Round(drawn, None, len(drawn), len(drawn))
        usable = self._status[: self._begin] != Status.FAILED
        if not usable.any():
            return _Round(self._cells[:0], None, 0, 0)
        drawn = self._draw(self._space, self._find_best(usable), self._candidates, rng)
        new = self._leave_new(drawn)
        scores = ask_predictor(self._predictor, new).mean if len(new) else np.zeros(0)
        best = np.argsort(-scores, kind="stable")[: self._beam]
        return _Round(new[best], scores[best], len(drawn), len(new))

    def _find_best(self, usable: NDArray[np.bool_]) -> Rows:
        """The K best cells told before this round."""
        cells, values = self._cells[: self._begin][usable], self._values[: self._begin][usable]
        return cells[np.argsort(-values, kind="stable")[: self._beam]]

    def _leave_new(self, cells: Rows) -> Rows:
        """The distinct ones of some cells that were not told before this round, in their order."""
        known = self._cells[: self._begin]
        first, _ = self._space.unique(np.concatenate([known, cells]))
        return cells[first[first >= len(known)] - len(known)]


def create(request: SearchRequest) -> NoGrowth:
    """PNAS without growth on uniform draws; options as for `NoGrowth`, the predictor as for PNAS."""
    return _make(request, draw_uniformly)


def create_mutating(request: SearchRequest) -> NoGrowth:
    """PNAS without growth on mutations of the best; options as for `NoGrowth`, the predictor as for PNAS."""
    return _make(request, mutate_best)


def _make(request: SearchRequest, draw: Draw) -> NoGrowth:
    from pnas_sim.predict import make_predictor

    options = dict(request.options)
    predictor = make_predictor(options.pop("predictor"), request.space)
    return NoGrowth(request.space, predictor, draw=draw, seed=request.seed, **options)
