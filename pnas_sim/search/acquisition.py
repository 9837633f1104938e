"""By what a predictor's word decides which cells are kept: its mean, its hope, or one of its members.

The paper is greedy on the mean (Algorithm 1). A predictor that knows its uncertainty can be asked for more:
the upper confidence bound (Auer 2002; mean + kappa std) tries what may be good, and Thompson sampling
(Thompson 1933; of a batch, as Kandasamy et al. 2018) gives each place of the beam to a member drawn at
random, which takes its own best cell that is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import Prediction
from pnas_sim.space.arrays import Floats

GREEDY, UCB, THOMPSON = "greedy", "ucb", "thompson"
ACQUISITIONS = (GREEDY, UCB, THOMPSON)


@dataclass(frozen=True, slots=True)
class Choosers:
    """Who chooses each place of a beam, and by what scores.

    Attributes:
        scores: `float64[s, n]`, of n rows.
        order: `intp[beam]`, whose turn each place is.
    """

    scores: Floats
    order: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How cells are chosen by a prediction.

    Attributes:
        name: "greedy", "ucb" or "thompson".
        kappa: standard deviations that are hoped for, at least 0; of "ucb".

    Raises:
        SettingError: an unknown name, or a kappa out of its range.
    """

    name: str = GREEDY
    kappa: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in ACQUISITIONS:
            raise SettingError(f"acquisition is {self.name!r}; it must be one of {', '.join(ACQUISITIONS)}")
        if not (math.isfinite(self.kappa) and self.kappa >= 0):
            raise SettingError(f"kappa is {self.kappa}; it must be a finite number of at least 0")

    def check(self, prediction: Prediction) -> None:
        """Checks that a prediction has what this needs, for every row.

        Raises:
            SettingError: it has no std or no members, or not one finite number a row.
        """
        needed = {UCB: "std", THOMPSON: "members"}.get(self.name)
        if needed is None:
            return
        found = getattr(prediction, needed)
        if found is None:
            raise SettingError(
                f"acquisition {self.name} needs a predictor with {needed}, this one has none; choose an "
                "ensemble such as mlp-ensemble, or acquisition greedy"
            )
        if found.shape[-1:] != prediction.mean.shape or not np.isfinite(found).all():
            raise SettingError(f"the predictor's {needed} is not a finite number for each cell; mend it")

    def assign(self, prediction: Prediction, beam: int, rng: np.random.Generator) -> Choosers:
        """Says who chooses each place of the beam.

        Args:
            prediction: of n rows.
            beam: places.
            rng: of the level; used by "thompson" alone.

        Raises:
            SettingError: as `check`.
        """
        self.check(prediction)
        if self.name == THOMPSON and prediction.members is not None:
            return Choosers(prediction.members, rng.integers(0, len(prediction.members), beam))
        hope = self.kappa * prediction.std if self.name == UCB and prediction.std is not None else 0.0
        return Choosers((prediction.mean + hope)[None], np.zeros(beam, np.intp))


def take_turns(
    ranked: Sequence[NDArray[np.intp]], cell: NDArray[np.intp], order: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Fills a beam: each turn takes the best row left of its ranking, and with it the cell's other rows.

    Args:
        ranked: of each who has turns: rows, the best first, of distinct cells, as many as the beam has places
            or all there are.
        cell: `intp[n]`, which cell each row is of.
        order: `intp[beam]`.

    Returns:
        The rows taken, in the order of taking; fewer than the beam has where the cells run out.
    """
    waiting = [iter(rows) for rows in ranked]
    taken: dict[int, int] = {}
    for turn in order.tolist():
        for row in waiting[turn]:
            if int(cell[row]) not in taken:
                taken[int(cell[row])] = int(row)
                break
    return np.fromiter(taken.values(), np.intp, len(taken))
