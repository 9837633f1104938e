"""What a search costs in training examples: M1 E1 + M2 E2 (section 5.3 of the paper).

M1 models are trained while searching, E1 examples each; then M2 of the best may be trained longer, E2
examples each, to choose the winner among them: the reranking stage that the paper charges reinforcement
learning with and PNAS not. Who is charged decides much of the speed-up, so three accounts stand side by side.
The paper says nothing of other searches; in its account they rerank as little as PNAS does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.space.arrays import Floats


class Account(StrEnum):
    """Who is charged the reranking stage."""

    PAPER = "paper"  # reinforcement learning only, as the paper has it
    NONE = "none"
    BOTH = "both"

    def charges(self, spent: Spent) -> bool:
        """Whether a search pays for reranking."""
        return self is Account.BOTH or (self is Account.PAPER and spent.reranks)


@dataclass(frozen=True, slots=True)
class Reranking:
    """The second stage of reinforcement learning in [NASNET]: the best 250 models trained 15 times as long.

    Attributes:
        models: M2, at most as many as the search has evaluated.
        factor: E2 / E1; 300 epochs after 20 in the paper.

    Raises:
        SettingError: one of them is below 0.
    """

    models: int = 250
    factor: float = 15.0

    def __post_init__(self) -> None:
        for name, value in (("models", self.models), ("factor", self.factor)):
            if value < 0:
                raise SettingError(f"reranking of {name} {value}; it must be at least 0")


@dataclass(frozen=True, slots=True)
class Spent:
    """What searching cost; numbers, or arrays of any one shape.

    Attributes:
        models: M1, evaluated.
        examples: trained on while searching: M1 E1, or less where some were trained for fewer epochs.
        reranks: it is reinforcement learning, which has the second stage in [NASNET].
    """

    models: Floats | float
    examples: Floats | float
    reranks: bool = False


def count_examples(spent: Spent, full: float, reranking: Reranking | None) -> Floats:
    """M1 E1 + M2 E2; infinite where the models are.

    Args:
        spent: in the search.
        full: E1, the examples of one model at full fidelity.
        reranking: the second stage, if there is one.
    """
    searched = np.asarray(spent.examples, np.float64)
    if reranking is None:
        return searched
    reranked = np.minimum(np.asarray(spent.models, np.float64), reranking.models)
    return searched + reranked * (reranking.factor * full)


def speed_up_in_examples(
    own: Spent, other: Spent, full: float, account: Account, reranking: Reranking | None = None
) -> Floats:
    """How many times the examples of one search another one needs for the same accuracy.

    Args:
        own: of the search that is measured, PNAS.
        other: of the search it is measured against; infinite where it did not get there.
        full: E1, the examples of one model at full fidelity.
        account: who is charged the reranking stage.
        reranking: that stage; by default the paper's.

    Returns:
        As many as there are figures; NaN where the examples are not known, as of a table imported from a CSV.
    """
    stage = Reranking() if reranking is None else reranking
    mine, others = (
        count_examples(one, full, stage if account.charges(one) else None) for one in (own, other)
    )
    return np.asarray(others / np.where(mine > 0, mine, np.nan), np.float64)
