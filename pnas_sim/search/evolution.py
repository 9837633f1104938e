"""Regularised evolution: Algorithm 1 of Real et al., AAAI 2019 (arXiv 1802.01548), by ask and tell."""

from __future__ import annotations

import numpy as np

from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import CHANCE, Turns, demand_at_least, demand_share, fill_failed
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows


class Evolution:
    """A population of the last P cells; the best of S drawn from it is mutated; the oldest dies.

    The first P cells are drawn uniformly from the unique cells of the largest size. After that each child is
    a mutation (`space.mutate`) of the best of S members, drawn with replacement; of equal ones, the first
    drawn is the best. P = 100 and S = 25 are those of Real et al.; their mutation too changes one input or
    operation, but leaves the cell as it is once in twenty times: here every mutation changes it.

    Children come in batches, as from so many workers that wait for each other: all parents of a batch are
    drawn from the population as the last batch left it, and then the children join in the order of asking,
    each in the place of the oldest member. `batch=1` is Algorithm 1 to the letter; Real et al. ran 450
    workers that did not wait, so that their children too had parents of some time before. A cell proposed
    again joins again, with the same accuracy. Failed children join with the accuracy of chance.

    Args:
        space: searched; cells have its largest block count.
        population: P.
        sample: S.
        batch: cells of an `ask`, at most.
        chance: the accuracy that a failed child is taken for.
        seed: batch k draws from `SeedSequence([seed, k])`.

    Raises:
        SettingError: population, sample or batch is below 1, chance is not in [0, 1], or a seed is below 0.
    """

    def __init__(
        self,
        space: CellSpace,
        population: int = 100,
        sample: int = 25,
        batch: int = 20,
        chance: float = CHANCE,
        seed: int = 0,
    ) -> None:
        demand_at_least(1, population=population, sample=sample, batch=batch)
        demand_share(chance=chance)
        self._space, self._sample, self._batch, self._chance = space, sample, batch, chance
        self._cells: Rows = np.zeros((population, space.width), np.uint8)  # a ring: member i mod P
        self._values: Floats = np.zeros(population)
        self._told = 0
        self._turns = Turns(seed)

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n and at most `batch`.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        rng = self._turns.draw_stream()
        size, missing = min(n, self._batch), len(self._values) - self._told
        if missing > 0:
            cells = self._space.sample(min(size, missing), rng)
        else:
            cells = self._space.mutate(self._cells[self._choose_parents(size, rng)], rng)
        return self._turns.give(Proposals(cells=cells))

    def tell(self, observations: Observations) -> None:
        """Takes the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        self._join(self._turns.take(observations), observations)

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; draws and mutates nothing."""
        self._turns.give(proposals)
        self.tell(observations)

    def _choose_parents(self, count: int, rng: np.random.Generator) -> Rows:
        """Places of the winners of `count` tournaments, `intp[count]`."""
        drawn = rng.integers(0, len(self._values), (count, self._sample))
        best = self._values[drawn].argmax(axis=1)
        return np.asarray(drawn[np.arange(count), best])

    def _join(self, proposals: Proposals, observations: Observations) -> None:
        """Puts children in the places of the oldest; of more than P, the last P stay."""
        kept = slice(max(0, len(proposals) - len(self._values)), None)
        places = (self._told + np.arange(len(proposals))[kept]) % len(self._values)
        self._cells[places] = proposals.cells[kept]
        self._values[places] = fill_failed(observations, self._chance)[kept]
        self._told += len(proposals)


def create(request: SearchRequest) -> Evolution:
    """Regularised evolution; options as for `Evolution`; `chance` is the request's."""
    return Evolution(request.space, **request.options, chance=request.chance, seed=request.seed)
