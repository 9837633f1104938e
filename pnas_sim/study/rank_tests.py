"""Whether two searches differ: paired rank tests with Holm's correction for the number of pairs.

A pair is two runs in the same world with the same seed (Wilcoxon's signed ranks, two-sided, exact where scipy
has it so). Runs in one world share its landscape; so the same test on means of worlds stands beside it, which
is honest about that and needs many worlds to find anything.
"""

from __future__ import annotations

import math
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
        difference: median over pairs, first less second; NaN where one of them has no value.
        wins: share of pairs in which the first is better, ties counted half; NaN likewise.
        pairs: their number.
        p_value: of no difference, of this test alone; NaN likewise.
        holm: the same, corrected for all tests of its family that could be made; NaN likewise.
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
        values: by label, `float64[pairs]` each, in the same order of pairs; NaN where a search has none yet.
    """
    duels = list(combinations(values, 2))
    raw = [find_p_value(values[one] - values[other]) for one, other in duels]
    corrected = correct_by_holm(raw)
    return [
        _describe(one, other, values[one] - values[other], p_value, holm)
        for (one, other), p_value, holm in zip(duels, raw, corrected, strict=True)
    ]


def _describe(one: str, other: str, difference: Floats, p_value: float, holm: float) -> RankTest:
    known = not np.isnan(difference).any()
    wins = float(((difference > 0) + 0.5 * (difference == 0)).mean()) if known else math.nan
    return RankTest(one, other, float(np.median(difference)), wins, len(difference), p_value, holm)


def find_p_value(difference: Floats) -> float:
    """Of Wilcoxon's signed-rank test, two-sided; 1 where nothing differs, NaN where one is not known."""
    from scipy.stats import wilcoxon

    if np.isnan(difference).any():
        return math.nan
    if not difference.any():
        return 1.0
    untied = difference.all() and len(np.unique(np.abs(difference))) == len(difference)
    method = "exact" if untied and len(difference) <= 50 else "approx"  # "auto" may permute
    return float(wilcoxon(difference, method=method).pvalue)


def correct_by_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: valid whatever the dependence of the tests; NaN ones are none."""
    made = [place for place, p_value in enumerate(p_values) if not math.isnan(p_value)]
    order = sorted(made, key=lambda place: p_values[place])
    corrected, highest = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def average_worlds(values: Floats, seeds: int) -> Floats:
    """Means of worlds of values in order of world, then seed."""
    return np.asarray(values.reshape(-1, seeds).mean(axis=1))
