"""Progressive search: Algorithm 1 of the paper (section 4.1), by ask and tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.plugins import OWN_PACKAGE, find_plugin
from pnas_sim.predict.asking import ask_for_expansions, ask_predictor, demand_predictor
from pnas_sim.predict.base import Predictor
from pnas_sim.search.acquisition import UCB, Acquisition, take_turns
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

GREEDY_ON_MEAN = Acquisition()


@dataclass(frozen=True, slots=True)
class _Level:
    """Chosen cells of one block count, in order of their scores.

    Attributes:
        cells: `uint8[n, width]`, canonical.
        predicted: `float64[n]`; None at level 1.
        candidates: rows scored.
        unique: unique cells among them.
    """

    cells: Rows
    predicted: Floats | None
    candidates: int
    unique: int


class Pnas:
    """All one-block cells, then the `beam` best-predicted expansions of the cells kept, level by level.

    All of level 1 is kept; of others what was trained and did not fail. The predictor is fitted on everything
    so far between two levels.

    Args:
        space: up to its largest block count.
        predictor: unfitted.
        beam: K, cells of each level but the first.
        batch: cells of an `ask`, at most.
        seed: of the predictor's fits; level b draws from `SeedSequence([seed, b])`.
        restarts: every fit of this predictor starts from scratch, so that a replay need only do the last one
            again. Where a fit goes on from the one before, it must be False, and a replay does them all.
        acquisition: by what the beam is chosen; the paper's is greedy on the mean.

    Raises:
        SettingError: beam or batch is below 1, or it is no predictor.
    """

    def __init__(
        self,
        space: CellSpace,
        predictor: Predictor,
        beam: int = 256,
        batch: int = 256,
        seed: int = 0,
        restarts: bool = False,
        acquisition: Acquisition = GREEDY_ON_MEAN,
    ) -> None:
        for name, value in (("beam", beam), ("batch", batch)):
            if value < 1:
                raise SettingError(f"{name} is {value}; it must be at least 1")
        self._space, self._predictor = space, demand_predictor(predictor)
        self._beam, self._batch, self._seed, self._restarts = beam, batch, seed, restarts
        self._acquisition = acquisition
        self._blocks = 1
        self._level: _Level | None = None  # None: still to be scored, after a replay
        self._turns = Turns(seed)
        self._told = space.initial()[:0]  # of this level
        self._cells = space.initial()[:0]
        self._values: Floats = np.zeros(0)
        self._status: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._due: list[tuple[int, int]] = []  # fits to do before the next scoring: first so many cells, seed

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its course: the first batch, which is level 1, is the same for all of them."""
        acquisition = {"acquisition": self._acquisition.name, "kappa": self._acquisition.kappa}
        predictor = type(self._predictor).__name__
        return {"seed": self._seed, "beam": self._beam, "predictor": predictor, **acquisition}

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n and at most `batch`; empty after the last level.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        if self._is_level_done() and self._blocks < self._space.max_blocks:
            self._advance()
        return self._turns.give(self._propose(n))

    def _is_level_done(self) -> bool:
        """Whether every chosen cell of this level was told; of a whole beam it is known without scoring."""
        if self._level is None and self._blocks > 1 and len(self._told) >= self._beam:
            return True
        return len(self._told) >= len(self._current().cells)

    def _propose(self, n: int) -> Proposals:
        """The next cells of this level; none if it is done."""
        if self._is_level_done():
            return Proposals(self._told[:0], predicted=np.zeros(0))
        level, begin = self._current(), len(self._told)
        chosen = slice(begin, begin + min(n, self._batch))
        return Proposals(
            cells=level.cells[chosen],
            predicted=None if level.predicted is None else level.predicted[chosen],
            candidates=level.candidates if begin == 0 else 0,
            unique=level.unique if begin == 0 else 0,
        )

    def tell(self, observations: Observations) -> None:
        """Takes the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        self._take(self._turns.take(observations), observations)

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; scores nothing, and fits nothing before it must score again."""
        blocks = int(self._space.block_counts(proposals.cells[:1])[0])
        if blocks > self._blocks:
            self._advance()
        self._take(proposals, observations)

    def _take(self, proposals: Proposals, observations: Observations) -> None:
        self._told = np.concatenate([self._told, proposals.cells])
        self._cells = np.concatenate([self._cells, proposals.cells])
        self._values = np.concatenate([self._values, observations.valid_accuracy])
        self._status = np.concatenate([self._status, observations.status])

    def _advance(self) -> None:
        """Goes one level up, with a fit on everything so far due."""
        seed = int(np.random.SeedSequence([self._seed, self._blocks]).generate_state(1)[0])
        self._due.append((len(self._cells), seed))
        self._blocks += 1
        self._told = self._space.initial()[:0]
        self._level = None

    def _fit_due(self) -> None:
        """Does the fits that are due; of those that start from scratch, the last one replaces the others."""
        for count, seed in self._due[-1:] if self._restarts else self._due:
            usable = self._status[:count] != Status.FAILED
            if usable.any():
                self._predictor.fit(self._cells[:count][usable], self._values[:count][usable], seed)
        self._due.clear()

    def _current(self) -> _Level:
        if self._level is None:
            self._level = self._score_level()
        return self._level

    def _score_level(self) -> _Level:
        if self._blocks == 1:
            first = self._space.initial()
            return _Level(first, None, len(first), len(first))
        counts = self._space.block_counts(self._cells)
        parents = self._cells[(counts == self._blocks - 1) & (self._status != Status.FAILED)]
        if len(parents) == 0:
            return _Level(parents, np.zeros(0), 0, 0)
        self._fit_due()
        # the fits before this level drew from the same seed and level, but from the root of the sequence
        stream = np.random.SeedSequence([self._seed, self._blocks], spawn_key=(1,))
        rng = np.random.default_rng(stream)
        return _choose(self._space, self._predictor, parents, self._beam, self._acquisition, rng)


def create(request: SearchRequest) -> Pnas:
    """The search that a request asks for.

    Options: `predictor` (its name; from Python a factory or a predictor will do, too), `refit` (of the
    predictor between levels: "scratch" or "finetune"), `beam` and `batch` as for `Pnas`, `acquisition`
    ("greedy", "ucb" or "thompson") and `kappa` (of "ucb").

    Raises:
        SettingError: an option is out of its range, there is no such predictor, or it lacks the uncertainty
            that the acquisition needs.
    """
    from pnas_sim.predict.catalogue import PREDICTORS, make_predictor

    options = request.options
    refit = options["refit"]
    if refit not in ("scratch", "finetune"):
        raise SettingError(f"refit is {refit!r}; it must be scratch or finetune")
    name, scratch = options["predictor"], refit == "scratch"
    # scratch is every predictor's default, and not every one has the choice
    fitting = {} if scratch else {"refit": refit}
    predictor = make_predictor(name, request.space, **fitting)
    acquisition = _read_acquisition(options["acquisition"], options["kappa"])
    if acquisition != GREEDY_ON_MEAN and predictor is not name:  # one that was given is fitted for real only
        _demand_uncertainty(acquisition, make_predictor(name, request.space, **fitting), request.space)
    # what a predictor of somebody else's does when it is fitted again is not known
    own = isinstance(name, str) and find_plugin(PREDICTORS, name).package == OWN_PACKAGE
    return Pnas(
        request.space,
        predictor,
        beam=options["beam"],
        batch=options["batch"],
        seed=request.seed,
        restarts=scratch and own,
        acquisition=acquisition,
    )


def _read_acquisition(name: str, kappa: float) -> Acquisition:
    if name != UCB and kappa != GREEDY_ON_MEAN.kappa:
        raise SettingError(f"kappa is {kappa}; acquisition {name} has none: leave it out, or choose {UCB}")
    return Acquisition(name, kappa)


def _demand_uncertainty(acquisition: Acquisition, probe: Predictor, space: CellSpace) -> None:
    """Checks on two cells that a predictor has what is needed, before the first level is trained for it."""
    cells = space.initial()[:2]
    probe.fit(cells, np.linspace(0.4, 0.6, len(cells)), 0)
    acquisition.check(ask_predictor(probe, cells))


def _choose(
    space: CellSpace,
    predictor: Predictor,
    parents: Rows,
    beam: int,
    acquisition: Acquisition = GREEDY_ON_MEAN,
    rng: np.random.Generator | None = None,
) -> _Level:
    """Scores all expansions and takes the best, by what the acquisition says is best."""
    rows = space.expand(parents).cells
    prediction = ask_for_expansions(predictor, parents, rows)
    cells = space.canonical(rows)
    first, cell = space.unique(cells)
    choosers = acquisition.assign(prediction, beam, rng or np.random.default_rng(0))
    ranked = [_find_best(cell, len(first), scores, beam) for scores in choosers.scores]
    best = ranked[0] if len(ranked) == 1 else take_turns(ranked, cell, choosers.order)
    return _Level(cells[best], prediction.mean[best], len(rows), len(first))


def _find_best(cell: NDArray[np.intp], unique: int, scores: Floats, beam: int) -> NDArray[np.intp]:
    """The best cells' rows, in falling order of score.

    A cell has its rows' highest score, and ties go to the first row. Only rows that reach the score of the
    K-th best cell are sorted.

    Args:
        cell: `intp[n]`, which cell each row is of; a cell may have several rows.
        unique: cells there are.
        scores: `float64[n]`.
        beam: K, at most so many are found.
    """
    highest = np.full(unique, -np.inf)
    np.maximum.at(highest, cell, scores)
    worst = max(0, unique - beam)
    near = np.flatnonzero(scores >= np.partition(highest, worst)[worst])
    near = near[np.argsort(-scores[near], kind="stable")]
    _, earliest = np.unique(cell[near], return_index=True)
    return near[np.sort(earliest)[:beam]]
