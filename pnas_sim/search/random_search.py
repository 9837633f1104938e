"""Random search: independent draws, the baseline of section 5.3 of the paper."""

from __future__ import annotations

import numpy as np

from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.space import CellSpace


class RandomSearch:
    """Draws cells of one size for ever; the engine's budget ends it.

    Args:
        space: drawn from.
        unique: uniform over unique cells; else over raw rows, as the paper's baseline.
        blocks: of each cell; by default the space's largest.
        seed: batch k draws from `SeedSequence([seed, k])`.
    """

    def __init__(
        self, space: CellSpace, unique: bool = True, blocks: int | None = None, seed: int = 0
    ) -> None:
        self._space, self._unique, self._seed = space, unique, seed
        self._blocks = space.max_blocks if blocks is None else blocks
        self._batch = 0

    def ask(self, n: int) -> Proposals:
        """Returns n cells."""
        rng = np.random.default_rng(np.random.SeedSequence([self._seed, self._batch]))
        cells = self._space.sample(n, rng, blocks=self._blocks, unique=self._unique)
        return Proposals(cells=cells)

    def tell(self, observations: Observations) -> None:
        """Goes on to the next batch; nothing is learnt."""
        self._batch += 1

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """As `tell`."""
        self._batch += 1


def create(request: SearchRequest) -> RandomSearch:
    """Unique cells of the space's largest size."""
    return RandomSearch(request.space, unique=True, seed=request.seed)


def create_raw(request: SearchRequest) -> RandomSearch:
    """Raw draws of the space's largest size."""
    return RandomSearch(request.space, unique=False, seed=request.seed)
