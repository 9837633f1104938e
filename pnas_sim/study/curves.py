"""How good the best cells are as a search goes on: means over the top M, after each model.

The M cells are chosen by what was observed. Beside their observed mean stands their `expected` one, free of
seed noise: the best of many noisy values flatters whoever draws more of them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space.arrays import Floats, Integers

ROUNDING = 1e-12  # means within it are equal: the order of adding up must not decide a crossing


class Counting(StrEnum):
    """Which cells the top M are taken of."""

    PAPER = "paper"  # a search that grows cells: those of its last level; any other: all visited
    SYMMETRICAL = "symmetrical"  # all visited, of any size, whatever the search


class Kind(StrEnum):
    """Which values of the chosen cells are averaged."""

    OBSERVED = "observed"  # with seed noise, as the search saw them
    EXPECTED = "expected"  # free of it; conclusions rest on this one


@dataclass(frozen=True, slots=True)
class View:
    """One way of counting.

    Attributes:
        top: M.
        counting: of which cells.
        kind: of which values.
    """

    top: int
    counting: Counting
    kind: Kind


@dataclass(frozen=True, slots=True)
class TopCurve:
    """Means over the top M after each model; NaN until there are M.

    Attributes:
        observed: `float64[n]`, never falls.
        expected: `float64[n]`, of the same cells; may fall, as a lucky cell displaces a better one.
    """

    observed: Floats
    expected: Floats

    def read(self, kind: Kind) -> Floats:
        """One of the two."""
        return self.observed if kind is Kind.OBSERVED else self.expected


def follow_top(values: Floats, expected: Floats, top: int) -> TopCurve:
    """The curve of all cells visited. Of equal values, the first counts as better.

    Args:
        values: `float64[n]`, observed, in order of evaluation; NaN where a child failed.
        expected: `float64[n]`, free of noise; NaN where not known.
        top: M, at least 1.
    """
    changes = list(_follow_changes(values, expected, top))
    observed, free = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if changes:
        places = np.array([place for place, _, _ in changes])
        latest = np.searchsorted(places, np.arange(places[0], len(values)), side="right") - 1
        observed[places[0] :] = np.array([mean for _, mean, _ in changes])[latest]
        free[places[0] :] = np.array([mean for _, _, mean in changes])[latest]
    return TopCurve(observed, free)


def _follow_changes(values: Floats, expected: Floats, top: int) -> Iterator[tuple[int, float, float]]:
    """(place, observed mean, expected mean) each time that the top M change, once there are M.

    A value enters rarely (about M log(n / M) times if their order is random), so that passing over the others
    is all that counts.
    """
    known = np.flatnonzero(~np.isnan(values)).tolist()
    seen, free = values.tolist(), expected.tolist()
    if len(known) < top:
        return
    kept = [(seen[place], -place) for place in known[:top]]
    heapq.heapify(kept)
    yield known[top - 1], *_average(kept, free)
    least = kept[0][0]
    for place in known[top:]:
        if seen[place] > least:
            heapq.heapreplace(kept, (seen[place], -place))
            least = kept[0][0]
            yield place, *_average(kept, free)


def _average(kept: Sequence[tuple[float, int]], free: Sequence[float]) -> tuple[float, float]:
    """Means of the kept; exact sums: the same cells have the same mean in whatever order they came."""
    observed = math.fsum(value for value, _ in kept) / len(kept)
    return observed, math.fsum(free[-place] for _, place in kept) / len(kept)


def follow_levels(values: Floats, expected: Floats, blocks: Integers, top: int) -> TopCurve:
    """The curve of the level in work: the paper's counting of PNAS ("the top M of each level").

    A level that has not M cells yet leaves the curve where the level before it ended. Where no level has M
    cells, all visited are followed.

    Args:
        values: as in `follow_top`.
        expected: as in `follow_top`.
        blocks: `int64[n]`, of each cell, never falling.
        top: M, at least 1.
    """
    bounds = np.flatnonzero(np.diff(blocks)) + 1
    parts = [
        follow_top(value, free, top)
        for value, free in zip(np.split(values, bounds), np.split(expected, bounds), strict=True)
    ]
    if all(np.isnan(part.observed).all() for part in parts):
        return follow_top(values, expected, top)
    observed = _carry_on(np.concatenate([part.observed for part in parts]))
    # an expected value that is not known is no gap to fill: it is carried on only where nothing is observed
    waiting = np.concatenate([np.isnan(part.observed) for part in parts])
    free = np.concatenate([part.expected for part in parts])
    return TopCurve(observed, _carry_on(free, waiting))


def _carry_on(values: Floats, gaps: NDArray[np.bool_] | None = None) -> Floats:
    """Values with each gap filled by the last one before it, where there is one."""
    missing = np.isnan(values) if gaps is None else gaps
    places = np.where(missing, -1, np.arange(len(values)))
    last = np.maximum.accumulate(places) if len(values) else places
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)


def stack_curves(curves: Sequence[Floats], length: int | None = None) -> Floats:
    """Curves of several runs as `float64[runs, length]`; one that has ended stays where it ended.

    Args:
        curves: at least one, none empty.
        length: by default the longest one's; others are cut to it.
    """
    size = max(len(curve) for curve in curves) if length is None else length
    return np.stack(
        [np.concatenate([curve[:size], np.full(max(size - len(curve), 0), curve[-1])]) for curve in curves]
    )


def find_crossing(curve: Floats, target: float) -> float:
    """Models until a curve first reaches a target; infinite if it never does."""
    return float(find_crossings(curve[None], np.array([target]))[0])


def find_lasting_crossing(curve: Floats, target: float) -> float:
    """Models after which a curve never lies below a target again; infinite if it does so at its end."""
    below = np.flatnonzero(~(curve >= target - ROUNDING))
    if len(below) == 0:
        return 1.0
    return math.inf if below[-1] == len(curve) - 1 else float(below[-1] + 2)


def find_crossings(curves: Floats, targets: Floats) -> Floats:
    """Models until each row (`float64[runs, n]`) first reaches its target (`float64[runs]`), or infinity."""
    reached = curves >= targets[:, None] - ROUNDING
    first = reached.argmax(axis=1)
    return np.where(reached.any(axis=1), first + 1.0, math.inf)
