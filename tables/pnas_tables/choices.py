"""Which trained cells are trained again: by accuracies that are already known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def choose_strata(accuracies: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """`count` cells drawn from each stratum, none twice; where a stratum has fewer left, all of them.

    The strata, in this order: near failure (the lowest tenth, diverged ones among them), the top tenth, the
    upper half, all.

    Args:
        accuracies: `float64[n]`, of one training each.
        count: cells a stratum.
        rng: draws.

    Returns:
        Places, stratum by stratum, ascending in each.
    """
    order = np.argsort(accuracies, kind="stable")
    tenth, half = -(-len(order) // 10), -(-len(order) // 2)
    chosen: list[int] = []
    for stratum in (order[:tenth], order[len(order) - tenth :], order[len(order) - half :], order):
        free = np.setdiff1d(stratum, chosen)
        drawn = rng.choice(free, min(count, len(free)), replace=False)
        chosen += sorted(drawn.tolist())
    return chosen


def choose_best(accuracies: Floats, count: int) -> list[int]:
    """Places of the `count` highest of `float64[n]`, best first; the earlier one where two are equal."""
    places: list[int] = np.argsort(-accuracies, kind="stable")[:count].tolist()
    return places
