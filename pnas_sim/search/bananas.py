"""BANANAS: a neural predictor and Thompson sampling (White, Neiswanger and Savani, AAAI 2021, 1910.11858)."""

from __future__ import annotations

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.predict.asking import ask_predictor, demand_predictor
from pnas_sim.predict.base import Predictor
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns, demand_at_least
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

_PARENTS = 5  # mutated one after the other, the best first, until there are enough candidates


class Bananas:
    """Trains the mutations of the best cells that a predictor ensemble favours, with its doubts.

    Begins with `starts` random cells. For each batch the ensemble is fitted from scratch on everything so
    far, `candidates` mutations of the best cell are drawn (where fewer than so many are new, also of the
    second best, up to the fifth), each gets a draw from the normal distribution of the ensemble's mean and
    deviation (independent Thompson sampling), and the highest draws are trained. 10 starts, batches of 10,
    100 candidates and five networks are those of White et al.'s code.

    What differs: their networks read a path encoding of the cell and have ten layers of 20 units; here the
    project's own predictors read tokens, so that only the search differs from PNAS. Cells have the largest
    size only. Mutations are the project's, and always change the cell. Failed children are left out of fits.
    Fits grow with the models told: thousands of models take hours.

    Args:
        space: searched.
        predictor: unfitted; one that is uncertain (an ensemble), and fits from scratch each time.
        starts: random cells at first.
        candidates: mutations of each parent.
        batch: cells of an `ask`, at most.
        seed: batch k draws from `SeedSequence([seed, k])`.

    Raises:
        SettingError: starts, candidates or batch is below 1, a seed is below 0, or it is no predictor.
    """

    def __init__(
        self,
        space: CellSpace,
        predictor: Predictor,
        starts: int = 10,
        candidates: int = 100,
        batch: int = 10,
        seed: int = 0,
    ) -> None:
        demand_at_least(1, starts=starts, candidates=candidates, batch=batch)
        self._space, self._predictor = space, demand_predictor(predictor)
        self._starts, self._candidates, self._batch = starts, candidates, batch
        self._seen: set[bytes] = set()
        self._told = 0
        self._cells: Rows = np.zeros((0, space.width), np.uint8)  # that did not fail
        self._values: Floats = np.zeros(0)
        self._turns = Turns(seed)

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n and at most `batch`; empty when nothing new is found any more.

        Raises:
            SettingError: n is below 1, the last batch was not told yet, or the predictor has no uncertainty.
        """
        self._turns.begin(n)
        rng = self._turns.draw_stream()
        size = min(n, self._batch)
        if self._told < self._starts or not len(self._cells):
            missing = max(1, self._starts - self._told)
            return self._turns.give(Proposals(cells=self._draw_random(min(size, missing), rng)))
        candidates = self._draw_candidates(rng)
        if not len(candidates):
            return self._turns.give(Proposals(cells=self._draw_random(size, rng)))
        self._predictor.fit(self._cells.copy(), self._values.copy(), self._turns.draw_seed())
        guess = ask_predictor(self._predictor, candidates)
        if guess.std is None:
            raise SettingError("search bananas needs a predictor with an uncertainty; choose an ensemble")
        best = np.argsort(-rng.normal(guess.mean, guess.std), kind="stable")[:size]
        return self._turns.give(
            Proposals(candidates[best], None, guess.mean[best], len(candidates), len(candidates))
        )

    def tell(self, observations: Observations) -> None:
        """Takes the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        cells = self._turns.take(observations).cells
        usable = observations.status != Status.FAILED
        self._told += len(cells)
        self._seen.update(self._space.list_keys(cells))
        self._cells = np.concatenate([self._cells, cells[usable]])
        self._values = np.concatenate([self._values, observations.valid_accuracy[usable]])

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; neither fits nor draws."""
        self._turns.give(proposals)
        self.tell(observations)

    def _draw_candidates(self, rng: np.random.Generator) -> Rows:
        """New mutations of the best cell and, as far as they are needed, of the next best ones."""
        found = self._cells[:0]
        for place in np.argsort(-self._values, kind="stable")[:_PARENTS]:
            parents = np.repeat(self._cells[place : place + 1], self._candidates, axis=0)
            found = self._leave_new(np.concatenate([found, self._space.mutate(parents, rng)]))
            if len(found) >= self._candidates:
                break
        return found

    def _draw_random(self, count: int, rng: np.random.Generator) -> Rows:
        """New random cells, fewer or none where nearly all of the space was told."""
        found = self._leave_new(self._space.sample(count, rng))
        if len(found) < count:
            found = self._leave_new(np.concatenate([found, self._space.sample(20 * count + 1000, rng)]))
        return found[:count]

    def _leave_new(self, cells: Rows) -> Rows:
        """The distinct ones of some cells that were not told yet, in their order."""
        distinct = cells[self._space.unique(cells)[0]]
        new = [key not in self._seen for key in self._space.list_keys(distinct)]
        return np.asarray(distinct[np.array(new, np.bool_)])


def create(request: SearchRequest) -> Bananas:
    """BANANAS; options as for `Bananas`, the predictor as `make_predictor` takes it."""
    from pnas_sim.predict import make_predictor

    options = dict(request.options)
    predictor = make_predictor(options.pop("predictor"), request.space)
    return Bananas(request.space, predictor, **options, seed=request.seed)
