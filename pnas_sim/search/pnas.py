"""Progressive search: Algorithm 1 of the paper (section 4.1), by ask and tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.predict.base import ExpansionPredictor, Predictor
from pnas_sim.search.base import Floats, Observations, Proposals, Rows, SearchRequest
from pnas_sim.space import CellSpace


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

    Raises:
        SettingError: beam or batch is below 1.
    """

    def __init__(
        self, space: CellSpace, predictor: Predictor, beam: int = 256, batch: int = 256, seed: int = 0
    ) -> None:
        for name, value in (("beam", beam), ("batch", batch)):
            if value < 1:
                raise SettingError(f"{name} is {value}; it must be at least 1")
        self._space, self._predictor = space, predictor
        self._beam, self._batch, self._seed = beam, batch, seed
        self._blocks = 1
        self._level: _Level | None = None  # None: still to be scored, after a replay
        self._asked: Proposals | None = None
        self._told = space.initial()[:0]  # of this level
        self._cells = space.initial()[:0]
        self._values: Floats = np.zeros(0)
        self._status: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._fitted = 0  # the level after which the predictor was fitted last

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n and at most `batch`; empty after the last level.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        if n < 1:
            raise SettingError(f"asked for {n} cells; ask for at least 1")
        if self._asked:
            raise SettingError(
                f"ask without tell: the last batch of {len(self._asked)} cells has no answers yet"
            )
        level = self._current()
        if len(self._told) >= len(level.cells) and self._blocks < self._space.max_blocks:
            self._advance()
            level = self._current()
        begin = len(self._told)
        chosen = slice(begin, begin + min(n, self._batch))
        self._asked = Proposals(
            cells=level.cells[chosen],
            predicted=None if level.predicted is None else level.predicted[chosen],
            candidates=level.candidates if begin == 0 else 0,
            unique=level.unique if begin == 0 else 0,
        )
        return self._asked

    def tell(self, observations: Observations) -> None:
        """Takes the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        if self._asked is None:
            raise SettingError("tell without ask: ask for cells first")
        if len(observations) != len(self._asked):
            answers, cells = len(observations), len(self._asked)
            raise SettingError(f"told {answers} answers to a batch of {cells} cells; give one for each")
        self._take(self._asked, observations)
        self._asked = None

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; refits between levels as before, but scores nothing."""
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
        """Fits on everything so far and goes one level up."""
        usable = self._status != Status.FAILED
        seed = int(np.random.SeedSequence([self._seed, self._blocks]).generate_state(1)[0])
        if usable.any():
            self._predictor.fit(self._cells[usable], self._values[usable], seed)
        self._blocks += 1
        self._told = self._space.initial()[:0]
        self._level = None

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
        return _choose(self._space, self._predictor, parents, self._beam)


def create(request: SearchRequest) -> Pnas:
    """The search that a request asks for.

    Options: `predictor` (its name), `refit` (of the predictor between levels: "scratch" or "finetune"),
    `beam` and `batch` as for `Pnas`.

    Raises:
        SettingError: an option is out of its range, or there is no such predictor.
    """
    from pnas_sim.predict import make_predictor

    options = request.options
    refit = options["refit"]
    if refit not in ("scratch", "finetune"):
        raise SettingError(f"refit is {refit!r}; it must be scratch or finetune")
    fitting = (
        {} if refit == "scratch" else {"refit": refit}
    )  # the default; not every predictor has the choice
    predictor = make_predictor(options["predictor"], request.space, **fitting)
    return Pnas(request.space, predictor, beam=options["beam"], batch=options["batch"], seed=request.seed)


def _choose(space: CellSpace, predictor: Predictor, parents: Rows, beam: int) -> _Level:
    """Scores all expansions and takes the best; a cell has its rows' highest score, ties go to the first."""
    rows = space.expand(parents).cells
    scores = _predict(predictor, parents, rows)
    order = np.argsort(-scores, kind="stable")
    cells = space.canonical(rows)[order]
    first, _ = space.unique(cells)
    best = np.sort(first)[:beam]
    return _Level(cells[best], scores[order][best], len(rows), len(first))


def _predict(predictor: Predictor, parents: Rows, rows: Rows) -> Floats:
    if isinstance(predictor, ExpansionPredictor):
        return predictor.predict_expansions(parents).mean
    return predictor.predict(rows).mean
