"""A search of one's own, checked and compared. Run: `python examples/own_search.py`.

From the command line: `PYTHONPATH=examples pnas-sim run --search own_search:create --budget 1000`, and
`... compare --searches pnas,own=own_search:create`; options by `--search-option keep=0.2`.
Under a name, once a package says so: `[project.entry-points."pnas_sim.searches"] own = "own_search:create"`.
"""

from __future__ import annotations

import numpy as np

from pnas_sim.engine import Budget, run_search
from pnas_sim.evaluate import BackendRequest
from pnas_sim.registry import make_backend
from pnas_sim.search.base import Observations, Proposals, Rows, SearchRequest
from pnas_sim.search.catalogue import fill_options, make_search
from pnas_sim.search.turns import Turns, demand_share
from pnas_sim.space import CellSpace
from pnas_sim.testing.strategies import check_strategy


class OwnSearch:
    """Random cells first; then mutations of the better part of all cells seen."""

    def __init__(self, space: CellSpace, seed: int, keep: float) -> None:
        self.space, self.keep = space, keep
        self.turns = Turns(seed)  # refuses what is out of turn, and gives each batch a stream of its own
        self.cells: Rows = space.initial()[:0]
        self.accuracies = np.empty(0)

    def ask(self, n: int) -> Proposals:
        """The next n cells."""
        self.turns.begin(n)
        rng = self.turns.draw_stream()
        if len(self.cells) == 0:
            return self.turns.give(Proposals(self.space.sample(n, rng)))
        kept = np.argsort(-self.accuracies, kind="stable")[: max(1, int(self.keep * len(self.cells)))]
        return self.turns.give(Proposals(self.space.mutate(self.cells[rng.choice(kept, n)], rng)))

    def tell(self, observations: Observations) -> None:
        """Remembers the cells that did not fail."""
        cells = self.turns.take(observations).cells
        well = np.isfinite(observations.valid_accuracy)
        self.cells = np.concatenate([self.cells, cells[well]])
        self.accuracies = np.concatenate([self.accuracies, observations.valid_accuracy[well]])

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """As if it had asked for these and been told: so a killed run goes on."""
        self.turns.give(proposals)
        self.tell(observations)


def create(request: SearchRequest) -> OwnSearch:
    """The factory that the entry point names; it refuses options that it does not know."""
    options = fill_options("own", request.options, {"keep": 0.1})
    demand_share(keep=options["keep"])
    return OwnSearch(request.space, request.seed, options["keep"])


if __name__ == "__main__":
    space = CellSpace(max_blocks=3)
    check_strategy("own_search:create", space, n=16, batches=6)
    table = make_backend("table", BackendRequest(blocks=3))
    search = make_search("own_search:create", SearchRequest(space=space, seed=0))
    result = run_search(search, table, budget=Budget(models=1000))
    if best := result.best:
        print(f"the search keeps its contract; of {result.models_evaluated} cells the best is {best.cell}")
