"""Local search with random restarts, as White, Nolen and Savani ran it (UAI 2021, arXiv 2005.02960)."""

from __future__ import annotations

import numpy as np

from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns, demand_at_least
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.space.rows import TOKENS_PER_BLOCK, token_limits

_MORE_DRAWS = (
    1_000,
    20_000,
)  # for new starts where all drawn are known, before the space counts as exhausted


class LocalSearch:
    """Climbs from the best of some random cells to a local optimum, then starts again.

    A cell's neighbours are the cells that one changed token of its canonical row leads to, about 100 of five
    blocks: another operation, or another input among the blocks numbered before. (An input from a block that
    is numbered later, though it could come first, takes more than one move.)
    Those that the search has not proposed before are evaluated in random order, `batch` at a time; as soon as
    a batch holds a better cell than the present one, its best is the next ("query until lower" of White et
    al., who evaluate one at a time: `batch=1`). Where none is better, the cell is a local optimum and the
    search starts anew from `starts` uniformly random cells (10 in their code). Nothing is proposed twice; the
    search is finished when no new cell is found any more. Failed children are never moved to.

    Args:
        space: searched; cells have its largest block count.
        starts: random cells at each start.
        batch: neighbours of an `ask`, at most.
        seed: batch k draws from `SeedSequence([seed, k])`.

    Raises:
        SettingError: starts or batch is below 1, or a seed is below 0.
    """

    def __init__(self, space: CellSpace, starts: int = 10, batch: int = 1, seed: int = 0) -> None:
        demand_at_least(1, starts=starts, batch=batch)
        self._space, self._starts, self._batch = space, starts, batch
        self._seen: set[bytes] = set()
        self._waiting: Rows = np.zeros((0, space.width), np.uint8)  # starts or neighbours, still to be asked
        self._here: Rows | None = None  # `uint8[1, width]`, the present cell; None before its start is known
        self._value = -np.inf
        self._listed = False  # whether `_waiting` is of the present cell
        self._turns = Turns(seed)

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n, and at most `batch` neighbours; empty when nothing new is left.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        if not len(self._waiting):
            self._find_next()
        at_most = self._batch if self._listed else self._starts
        return self._turns.give(Proposals(cells=self._waiting[: min(n, at_most)]))

    def tell(self, observations: Observations) -> None:
        """Moves to the best of the last batch, if it is better than the present cell.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        cells = self._turns.take(observations).cells
        self._seen.update(self._space.list_keys(cells))
        self._waiting = self._waiting[len(cells) :]
        values = np.nan_to_num(observations.valid_accuracy, nan=-np.inf)
        best = int(values.argmax()) if len(values) else 0
        if len(values) and values[best] > self._value:
            self._here, self._value = cells[best : best + 1], float(values[best])
            if self._listed:
                self._waiting = self._waiting[:0]
                self._listed = False

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; lists neighbours as before."""
        self.ask(max(1, len(proposals)))
        self._turns.give(proposals)
        self.tell(observations)

    def _find_next(self) -> None:
        """Lists what to ask next: the present cell's new neighbours or, at a local optimum, new starts."""
        rng = self._turns.draw_stream()
        if self._here is not None and not self._listed:
            neighbours = self._leave_new(list_neighbours(self._space, self._here))
            self._waiting, self._listed = rng.permutation(neighbours), True
        if not len(self._waiting):
            self._here, self._value, self._listed = None, -np.inf, False
            self._waiting = self._draw_starts(rng)

    def _draw_starts(self, rng: np.random.Generator) -> Rows:
        """New random cells; fewer than `starts`, or none, where nearly all of the space was proposed."""
        for draws in (self._starts, *_MORE_DRAWS):
            drawn = self._space.sample(draws, rng)
            found = self._leave_new(drawn[self._space.unique(drawn)[0]])
            if len(found):
                break
        return found[: self._starts]

    def _leave_new(self, cells: Rows) -> Rows:
        """Those of some cells that were not proposed yet."""
        new = [key not in self._seen for key in self._space.list_keys(cells)]
        return cells[np.array(new, np.bool_)]


def list_neighbours(space: CellSpace, cell: Rows) -> Rows:
    """Every other cell that one changed token of a cell's row leads to.

    Args:
        space: of the cell.
        cell: `uint8[1, width]`, canonical.

    Returns:
        Distinct canonical rows, `uint8[n, width]`, in a fixed order.
    """
    blocks = int(space.block_counts(cell)[0])
    limits = token_limits(blocks, len(space.operations)).ravel()
    column = np.repeat(np.arange(TOKENS_PER_BLOCK * blocks), limits)
    value = np.concatenate([np.arange(limit) for limit in limits])
    changed = np.repeat(cell, len(column), axis=0)
    changed[np.arange(len(column)), column] = value
    rows = space.canonical(changed)
    distinct = rows[space.unique(rows)[0]]
    return np.asarray(distinct[(distinct != cell).any(axis=1)])


def create(request: SearchRequest) -> LocalSearch:
    """Local search with restarts; options as for `LocalSearch`."""
    return LocalSearch(request.space, **request.options, seed=request.seed)
