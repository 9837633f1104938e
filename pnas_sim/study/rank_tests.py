"""Whether two searches differ: paired rank tests with Holm's correction for the number of pairs.

A pair is two runs in the same world with the same seed (Wilcoxon's signed ranks, two-sided, exact where scipy
has it so). Runs in one world share its landscape; so the same test on means of worlds stands beside it, which
is honest about that and needs many worlds to find anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pnas_sim.space.arrays import Floats


@dataclass(frozen=True, slots=True)
class RankTest:
    """Two searches, paired.

    Attributes:
        first: label of one.
        second: of the other.
        difference: median over pairs, first less second.
        wins: share of pairs in which the first is better, ties counted half.
        pairs: their number.
        p_value: of no difference, of this test alone.
        holm: the same, corrected for all tests of its family.
    """

    first: str
    second: str
    difference: float
    wins: float
    pairs: int
    p_value: float
    holm: float


def rank_pairs(values: Mapping[str, Floats]) -> list[RankTest]:
    """Tests each two searches; one family for Holm's correction.

    Args:
        values: by label, `float64[pairs]` each, in the same order of pairs.
    """
    duels = list(combinations(values, 2))
    raw = [find_p_value(values[one] - values[other]) for one, other in duels]
    corrected = correct_by_holm(raw)
    return [
        _describe(one, other, values[one] - values[other], p_value, holm)
        for (one, other), p_value, holm in zip(duels, raw, corrected, strict=True)
    ]


def _describe(one: str, other: str, difference: Floats, p_value: float, holm: float) -> RankTest:
    wins = float(((difference > 0) + 0.5 * (difference == 0)).mean())
    return RankTest(one, other, float(np.median(difference)), wins, len(difference), p_value, holm)


def find_p_value(difference: Floats) -> float:
    """Of Wilcoxon's signed-rank test, two-sided; 1 where nothing differs."""
    from scipy.stats import wilcoxon

    if not difference.any():
        return 1.0
    untied = difference.all() and len(np.unique(np.abs(difference))) == len(difference)
    method = "exact" if untied and len(difference) <= 50 else "approx"  # "auto" may permute
    return float(wilcoxon(difference, method=method).pvalue)


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: valid whatever the dependence of the tests."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def average_worlds(values: Floats, seeds: int) -> Floats:
    """Means of worlds of values in order of world, then seed."""
    return np.asarray(values.reshape(-1, seeds).mean(axis=1))
