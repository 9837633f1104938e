"""Hyperband over epochs (Li et al., JMLR 2018, arXiv 1603.06560): many cells for few epochs, few for many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns, demand_at_least
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows


@dataclass(frozen=True, slots=True)
class Rung:
    """A stage of a bracket.

    Attributes:
        cells: at most so many are evaluated.
        epochs: of each.
    """

    cells: int
    epochs: float


class Hyperband:
    """Successive halving of random cells, bracket after bracket, for ever; the engine's budget ends it.

    Bracket s begins with n random cells at the epochs s rungs below the top, and sends the best 1 / eta of
    each rung up to the next; s goes from the most to zero, and then begins again (algorithm 1 of Li et al.;
    eta = 3 is theirs). Epochs are those that the evaluator can answer for: the ladder goes down from the
    largest by eta, each rung the known fidelity that is nearest by ratio. On a table a lower rung is a point
    of the curve of the full schedule, not a shorter training. Each cell counts as a model on each of its
    rungs; where trainings go on (`EvaluatorSpec.continues`), as a table's do, a rung costs what it takes
    beyond the one below. Comparisons look at the accuracies of full trainings alone. Failed children are
    never sent up.

    Args:
        space: searched; cells have its largest block count.
        fidelities: epochs that the evaluator can answer for, ascending.
        eta: what each rung divides cells by, and multiplies epochs by.
        rungs: of the ladder, at most, counted from the top; 0: all that fit. Fewer trust short ones less.
        brackets: of a round, the most exploring first; 0: all. 1 is successive halving alone (Jamieson and
            Talwalkar, AISTATS 2016).
        batch: cells of an `ask`, at most.
        seed: batch k draws from `SeedSequence([seed, k])`.

    Raises:
        SettingError: fewer than two rungs fit the fidelities, eta is below 2, rungs is 1, rungs or brackets
            or the seed is below 0, batch is below 1.
    """

    def __init__(
        self,
        space: CellSpace,
        fidelities: Sequence[float],
        eta: int = 3,
        rungs: int = 0,
        brackets: int = 0,
        batch: int = 256,
        seed: int = 0,
    ) -> None:
        demand_at_least(2, eta=eta)
        demand_at_least(0, rungs=rungs, brackets=brackets)
        demand_at_least(1, batch=batch)
        if rungs == 1:
            raise SettingError("rungs is 1; it must be 0 (all that fit) or at least 2")
        ladder = find_ladder(fidelities, eta)
        planned = plan_brackets(ladder[: rungs or len(ladder)], eta)
        self._brackets = planned[: brackets or len(planned)]
        self._space, self._batch = space, batch
        self._bracket, self._rung = -1, 0  # the one in work; brackets count on, past the last of the plan
        self._cells: Rows = np.zeros((0, space.width), np.uint8)  # of the rung in work
        self._values: Floats = np.zeros(0)  # of those told
        self._turns = Turns(seed)

    def ask(self, n: int) -> Proposals:
        """The next cells of the rung in work, at most n and at most `batch`, and their epochs.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        if len(self._values) == len(self._cells):
            self._climb()
        begin = len(self._values)
        cells = self._cells[begin : begin + min(n, self._batch)]
        return self._turns.give(Proposals(cells=cells, epochs=self._here().epochs))

    def tell(self, observations: Observations) -> None:
        """Takes the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        self._turns.take(observations)
        values = np.nan_to_num(observations.valid_accuracy, nan=-np.inf)
        self._values = np.concatenate([self._values, values])

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes a logged batch; draws a new bracket's cells as before."""
        self.ask(max(1, len(proposals)))
        self._turns.give(proposals)
        self.tell(observations)

    def _here(self) -> Rung:
        return self._brackets[self._bracket % len(self._brackets)][self._rung]

    def _climb(self) -> None:
        """Sends the best of a finished rung to the next or, where there is none, begins the next bracket."""
        bracket = self._brackets[self._bracket % len(self._brackets)]
        best = self._cells[:0]
        if self._bracket >= 0 and self._rung + 1 < len(bracket):
            order = np.argsort(-self._values, kind="stable")[: bracket[self._rung + 1].cells]
            best = self._cells[order[np.isfinite(self._values[order])]]
        if len(best):
            self._rung, self._cells = self._rung + 1, best
        else:
            self._bracket, self._rung = self._bracket + 1, 0
            self._cells = self._space.sample(self._here().cells, self._turns.draw_stream())
        self._values = self._values[:0]


def find_ladder(fidelities: Sequence[float], eta: int) -> tuple[float, ...]:
    """The epochs of the rungs, from the most to the fewest.

    Args:
        fidelities: epochs that the evaluator can answer for, ascending.
        eta: the ratio between two rungs that is aimed at.

    Raises:
        SettingError: there are fewer than two rungs.
    """
    known = np.array(fidelities, np.float64)
    if len(known) < 2:
        listed = f"{known[0]:g} epochs only" if len(known) else "no list of epochs"
        raise SettingError(
            f"search hyperband needs a backend with several fidelities, and this one has {listed}; "
            "use a table with learning curves"
        )
    steps = math.floor(math.log(known[-1] / known[0], eta) + 1e-9)
    aims = known[-1] / float(eta) ** np.arange(steps + 1)
    nearest = np.abs(np.log(known) - np.log(aims)[:, None]).argmin(axis=1)
    ladder = tuple(dict.fromkeys(known[nearest].tolist()))
    if len(ladder) < 2:
        raise SettingError(
            f"eta is {eta}; fidelities from {known[0]:g} to {known[-1]:g} epochs have no two rungs so far "
            "apart; choose a smaller one"
        )
    return ladder


def plan_brackets(ladder: Sequence[float], eta: int) -> list[list[Rung]]:
    """All brackets of a round (algorithm 1 of Li et al., with B = (s_max + 1) R), the most exploring first.

    Args:
        ladder: epochs from the most to the fewest: s_max + 1 of them.
        eta: what each rung divides the cells by.
    """
    most = len(ladder) - 1
    brackets = []
    for s in range(most, -1, -1):
        cells = math.ceil((most + 1) * eta**s / (s + 1))
        brackets.append([Rung(cells // eta**i, ladder[s - i]) for i in range(s + 1)])
    return brackets


def create(request: SearchRequest) -> Hyperband:
    """Hyperband over the fidelities of the request; options as for `Hyperband`."""
    return Hyperband(request.space, request.fidelities, **request.options, seed=request.seed)
