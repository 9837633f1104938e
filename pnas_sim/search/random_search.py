"""Random search: the baseline of section 5.3 of the paper, with repeats as there or without."""

from __future__ import annotations

import numpy as np

from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.space.distinct import MOST_LISTED, draw_new, list_cells


class RandomSearch:
    """Draws cells of one size, with repeats for ever, or each unique cell once until there is none left.

    Unique cells: each draw is uniform over all cells not drawn before. Where there are few of this size they
    are listed and drawn from the list; else a cell drawn before is drawn again, which changes nothing about
    the others' chances. Raw rows: independent draws of every token, as the paper's baseline.

    Args:
        space: drawn from.
        unique: unique cells, none twice; else raw rows, which repeat cells.
        blocks: of each cell; by default the space's largest.
        seed: batch k draws from `SeedSequence([seed, k])`.

    Raises:
        SettingError: the space has no cells of so many blocks, or the seed is below 0.
    """

    def __init__(
        self, space: CellSpace, unique: bool = True, blocks: int | None = None, seed: int = 0
    ) -> None:
        self._space, self._unique = space, unique
        self._blocks = space.max_blocks if blocks is None else blocks
        self._count = space.count_unique(self._blocks)
        self._drawn: set[bytes] = set()  # the rows of unique cells proposed so far
        self._left: Rows | None = None  # those not proposed yet, once they are listed
        self._turns = Turns(seed)

    def ask(self, n: int) -> Proposals:
        """The next n cells; fewer at the end of the unique ones, and then none.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        rng = self._turns.draw_stream()
        if not self._unique:
            cells = self._space.sample(n, rng, blocks=self._blocks, unique=False)
        elif self._count <= MOST_LISTED:
            cells = self._draw_listed(n, rng)
        else:
            wanted = min(n, self._count - len(self._drawn))
            cells = draw_new(self._space, wanted, self._blocks, rng, self._drawn)
        return self._turns.give(Proposals(cells=cells))

    def tell(self, observations: Observations) -> None:
        """Goes on to the next batch; nothing is learnt.

        Raises:
            SettingError: there is no batch to be told of, or it has another number of cells.
        """
        self._turns.take(observations)

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; draws nothing."""
        self._turns.give(proposals)
        self._turns.take(observations)
        if self._unique:
            self._drawn.update(self._space.list_keys(proposals.cells))
            self._left = None

    def _draw_listed(self, n: int, rng: np.random.Generator) -> Rows:
        """Cells from the list of those left."""
        if self._left is None:
            every = list_cells(self._space, self._blocks)
            new = [key not in self._drawn for key in self._space.list_keys(every)]
            self._left = every[new]
        chosen = rng.choice(len(self._left), min(n, len(self._left)), replace=False)
        cells = self._left[chosen]
        self._drawn.update(self._space.list_keys(cells))
        self._left = np.delete(self._left, chosen, axis=0)
        return cells


def create(request: SearchRequest) -> RandomSearch:
    """Unique cells of the space's largest size."""
    return RandomSearch(request.space, unique=True, seed=request.seed)


def create_raw(request: SearchRequest) -> RandomSearch:
    """Raw draws of the space's largest size."""
    return RandomSearch(request.space, unique=False, seed=request.seed)
