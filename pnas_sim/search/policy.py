"""Search by a learnt policy: a controller writes cells and is taught by their accuracies.

What REINFORCE and PPO share; each brings only its objective. Settings are those of NASNet (1707.07012, A.2),
which the paper's RL baseline follows: batches of 20, Adam, an entropy bonus, and the moving average of the
rewards as the baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from pnas_sim.errors import SettingError
from pnas_sim.search.base import Observations, Proposals
from pnas_sim.search.controller import Controller
from pnas_sim.search.turns import CHANCE, Turns, demand_at_least, demand_share, fill_failed
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

# (log chances, log chances before this batch's first step, advantages) -> what is to be maximised, a scalar;
# log chances are [n, T], of each token, advantages [n].
Objective: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

_WEIGHTS = 1  # the random stream of the first weights, apart from those of the batches


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Settings of a policy search, NASNet's by default.

    Attributes:
        hidden: units of the controller's LSTM.
        learning_rate: Adam's.
        entropy: weight of the bonus for the policy's entropy: the sum over a cell's tokens, in nats.
        baseline: how much of the moving average of rewards stays at each batch; it begins as the first
            batch's mean.
        batch: cells of an `ask`, at most; each batch is one minibatch.
        epochs: steps of Adam on each batch.
        chance: the reward of a failed child.
        seed: of everything; batch k draws from `SeedSequence([seed, k])`.
    """

    hidden: int = 100
    learning_rate: float = 0.00035
    entropy: float = 0.00001
    baseline: float = 0.95
    batch: int = 20
    epochs: int = 1
    chance: float = CHANCE
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        demand_at_least(1, hidden=self.hidden, batch=self.batch, epochs=self.epochs)
        demand_share(baseline=self.baseline, chance=self.chance)
        if not 0 < self.learning_rate <= 1:
            raise SettingError(f"learning_rate is {self.learning_rate!r}; it must be above 0 and at most 1")
        if not 0 <= self.entropy < np.inf:
            raise SettingError(f"entropy is {self.entropy!r}; it must be a finite number of at least 0")


class PolicySearch:
    """A controller that writes cells for ever and learns from each batch.

    The reward is the validation accuracy; failed children are told as chance. Cells are proposed as written,
    so a cell may come in several raw forms, and again.

    Args:
        space: searched; cells have its largest block count.
        settings: of controller and learning.
        objective: what a step of Adam climbs, beside the entropy bonus.

    Raises:
        SettingError: a seed below 0.
    """

    def __init__(self, space: CellSpace, settings: PolicySettings, objective: Objective) -> None:
        self._turns = Turns(settings.seed)
        self._space, self._settings, self._objective = space, settings, objective
        self._controller = Controller(space, settings.hidden)
        first = np.random.SeedSequence([settings.seed, 0, _WEIGHTS])
        self._weights = self._controller.draw_weights(np.random.default_rng(first))
        self._optimiser = torch.optim.Adam(
            list(self._weights.values()), lr=settings.learning_rate, fused=True
        )
        self._baseline: float | None = None
        self._seen: set[bytes] = set()
        self._history: list[tuple[float, float, float]] = []

    def ask(self, n: int) -> Proposals:
        """Cells as the controller writes them, at most n and at most `batch`.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        generator = torch.Generator().manual_seed(self._turns.draw_seed())
        cells = self._controller.sample(self._weights, min(n, self._settings.batch), generator)
        return self._turns.give(Proposals(cells=cells))

    def tell(self, observations: Observations) -> None:
        """Learns from the answers to the last batch.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        cells = self._turns.take(observations).cells
        rewards = fill_failed(observations, self._settings.chance)
        entropy = self._learn(cells, rewards)
        self._history.append((entropy, float(rewards.mean()), self._count_repeats(cells)))

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Learns from a logged batch as before; writes no cells."""
        self._turns.give(proposals)
        self.tell(observations)

    def diagnostics(self) -> dict[str, Floats]:
        """What the controller did, batch by batch, each `float64[batches]`.

        Returns:
            `policy_entropy`: of a cell, in nats, estimated on the batch it wrote, before it learnt from it;
            `mean_accuracy`: of the batch, failed ones as chance; `repeat_rate`: the share of the batch that
            was proposed before, in whatever raw form.
        """
        columns = np.array(self._history, np.float64).reshape(-1, 3).T
        return dict(zip(("policy_entropy", "mean_accuracy", "repeat_rate"), columns, strict=True))

    def _learn(self, cells: Rows, rewards: Floats) -> float:
        """Takes `epochs` steps on a batch; returns the policy's entropy before them."""
        mean = float(rewards.mean())
        baseline = mean if self._baseline is None else self._baseline
        self._baseline = self._settings.baseline * baseline + (1 - self._settings.baseline) * mean
        advantages = torch.from_numpy(rewards - baseline).float()
        before: Tensor | None = None
        entropy = 0.0
        with torch.enable_grad():
            for _ in range(self._settings.epochs):
                log_chances, entropies = self._controller.score(self._weights, cells)
                bonus = entropies.sum(dim=1).mean()
                if before is None:
                    before, entropy = log_chances.detach(), float(bonus.detach())
                gain = self._objective(log_chances, before, advantages)
                self._optimiser.zero_grad()
                (-gain - self._settings.entropy * bonus).backward()  # type: ignore[no-untyped-call]
                self._optimiser.step()
        return entropy

    def _count_repeats(self, cells: Rows) -> float:
        """The share of a batch whose canonical cells were proposed before, in the batch or earlier."""
        keys = self._space.list_keys(self._space.canonical(cells))
        known = len(self._seen)
        self._seen.update(keys)
        return 1 - (len(self._seen) - known) / len(keys)
