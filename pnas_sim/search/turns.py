"""What the baselines share: whose turn it is, and where each batch's randomness comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.search.base import Observations, Proposals
from pnas_sim.space.arrays import Floats

CHANCE = 0.1  # of ten classes


@dataclass(slots=True)
class Turns:
    """Sees to it that ask and tell alternate, and counts batches.

    Attributes:
        seed: batch k draws only from `SeedSequence([seed, k])`.
        number: batches told so far: k of the one asked for next.
        asked: the batch that waits for its answers.

    Raises:
        SettingError: a seed below 0.
    """

    seed: int
    number: int = 0
    asked: Proposals | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SettingError(f"the search's seed is {self.seed}; it must be at least 0")

    def draw_stream(self) -> np.random.Generator:
        """The random stream of the batch in work, from its beginning."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.number]))

    def draw_seed(self) -> int:
        """A seed below 2**32 for what the batch in work hands to others (a predictor, torch, Optuna)."""
        return int(np.random.SeedSequence([self.seed, self.number]).generate_state(1)[0])

    def begin(self, n: int) -> None:
        """Checks that a batch of at most n cells may be asked for.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        if n < 1:
            raise SettingError(f"asked for {n} cells; ask for at least 1")
        if self.asked:
            raise SettingError(
                f"ask without tell: the last batch of {len(self.asked)} cells has no answers yet"
            )

    def give(self, proposals: Proposals) -> Proposals:
        """Hands a batch out; its answers are what comes next."""
        self.asked = proposals
        return proposals

    def take(self, observations: Observations) -> Proposals:
        """The batch that these are the answers to.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        if self.asked is None:
            raise SettingError("tell without ask: ask for cells first")
        if len(observations) != len(self.asked):
            answers, cells = len(observations), len(self.asked)
            raise SettingError(f"told {answers} answers to a batch of {cells} cells; give one for each")
        asked, self.asked = self.asked, None
        self.number += 1
        return asked


def demand_at_least(limit: int, **settings: int) -> None:
    """Checks whole numbers of a strategy's settings.

    Raises:
        SettingError: names the first that is below the limit, or no whole number.
    """
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < limit:
            raise SettingError(f"{name} is {value!r}; it must be a whole number of at least {limit}")


def demand_share(**settings: float) -> None:
    """Checks numbers from 0 to 1.

    Raises:
        SettingError: names the first that is out of this range.
    """
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise SettingError(f"{name} is {value!r}; it must be from 0 to 1")


def fill_failed(observations: Observations, chance: float) -> Floats:
    """Accuracies with chance in place of what failed, as evolution and RL are told: `float64[n]`."""
    return np.where(observations.status == Status.FAILED, chance, observations.valid_accuracy)
