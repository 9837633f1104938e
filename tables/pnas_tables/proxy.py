"""Is the proxy right? How cells rank under a table's recipe beside one with a single thing changed.

The figures are plain functions of arrays (`Pairs`), one pair of values a cell. Intervals are 95% percentile
intervals of 2,000 bootstrap draws of cells, drawn within the two kinds of cells that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pnas_sim.space.arrays import Floats

Statistic: TypeAlias = Callable[[Floats, Floats], Floats]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Correlation: TypeAlias = Annotated[float, Field(ge=-1.000001, le=1.000001, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=0)]

DRAWS = 2_000
CEILING_DRAWS = 500
FEWEST = 6  # cells for a figure with an interval


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure of cells with its 95% interval."""

    value: Finite
    low: Finite
    high: Finite

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"an interval from {self.low} to {self.high} is none")

    @property
    def excludes_zero(self) -> bool:
        """Whether the figure differs from 0 beyond chance."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Part:
    """Agreement of both recipes on some of the cells; None where they are too few.

    Attributes:
        name: of these cells: `all`, `upper half` (by the changed training), `uniform`, `top`.
        cells: how many.
        table_mean: their accuracy under the table's recipe.
        changed_mean: under the changed one.
        spearman: rank correlation.
        kendall: the same by tau-b.
        ceiling_spearman: what a changed training without noise of its own, that ranks as the truth under the
            table's recipe does, would reach beside values as noisy as the table's; None if their noise is
            unknown.
        ceiling_kendall: likewise.
    """

    name: str
    cells: Count
    table_mean: Share | None
    changed_mean: Share | None
    spearman: Interval | None
    kendall: Interval | None
    ceiling_spearman: Correlation | None
    ceiling_kendall: Correlation | None


@dataclass(frozen=True, slots=True)
class Effect:
    """An operation's marginal effect: slope of accuracy on how often it stands in the cell.

    Attributes:
        operation: its name.
        table: under the table's recipe, accuracy for one more, on the cells trained under both; None where it
            cannot be told.
        changed: under the changed one, on the same cells.
        difference: changed minus table, on the same draws of cells.
        everywhere: under the table's recipe, on all of the table's random cells of this size. Half of those
            trained under both were chosen for being best, and their slopes are not the table's.
    """

    operation: str
    table: Interval | None
    changed: Interval | None
    difference: Interval | None
    everywhere: Interval | None = None

    @property
    def reference(self) -> Interval | None:
        """The slope that the changed one's sign is held against: the whole table's, if it is known."""
        return self.table if self.everywhere is None else self.everywhere

    @property
    def signs_differ(self) -> bool:
        """Whether the operation helps in the table and harms under the changed recipe, or the other way."""
        if self.reference is None or self.changed is None:
            return False
        return self.reference.value * self.changed.value < 0

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference excludes 0: the effect is another, if of the same sign."""
        return self.difference is not None and self.difference.excludes_zero

    @property
    def beyond_chance(self) -> bool:
        """Whether signs differ and each is told from 0: Gail and Simon (1985), qualitative interactions."""
        told = [one is not None and one.excludes_zero for one in (self.reference, self.changed)]
        return self.signs_differ and all(told)


@dataclass(frozen=True, slots=True)
class Pairs:
    """n cells trained under both recipes.

    Attributes:
        table: `float64[n]`, accuracy under the table's recipe, mean over some seeds.
        changed: `float64[n]`, accuracy under the changed recipe.
        noise: `float64[n]`, deviation of the table's values; NaN if unknown.
        counts: `int64[n, k]`, how often each operation stands in the cell.
        top: `bool[n]`, chosen for its accuracy; the others are a uniform sample.
    """

    table: Floats
    changed: Floats
    noise: Floats
    counts: NDArray[np.int64]
    top: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.table)

    def take(self, mask: NDArray[np.bool_]) -> Pairs:
        """The cells where `bool[n]` is true."""
        return Pairs(*(getattr(self, field.name)[mask] for field in fields(self)))


def measure_parts(pairs: Pairs) -> tuple[Part, ...]:
    """Agreement overall, in the upper half by the changed training, and among either kind of cells."""
    everywhere = np.ones(len(pairs), np.bool_)
    masks = {
        "all": everywhere,
        "upper half": pairs.changed >= np.median(pairs.changed) if len(pairs) else everywhere,
        "uniform": ~pairs.top,
        "top": pairs.top,
    }
    return tuple(_measure_part(name, pairs.take(mask)) for name, mask in masks.items())


def _measure_part(name: str, pairs: Pairs) -> Part:
    places = draw_places(pairs.top)
    spearman, kendall = (
        find_interval(statistic, pairs.table, pairs.changed, places)
        for statistic in (correlate_ranks, correlate_pairs)
    )
    return Part(
        name,
        len(pairs),
        float(pairs.table.mean()) if len(pairs) else None,
        float(pairs.changed.mean()) if len(pairs) else None,
        spearman,
        kendall,
        find_ceiling(correlate_ranks, pairs.table, pairs.noise),
        find_ceiling(correlate_pairs, pairs.table, pairs.noise),
    )


def measure_effects(pairs: Pairs, operations: Sequence[str]) -> tuple[Effect, ...]:
    """Each operation's slope under either recipe, and how far they differ."""
    places = draw_places(pairs.top)
    found = []
    for name, counts in zip(operations, pairs.counts.T.astype(np.float64), strict=True):
        slopes = [
            find_interval(find_slopes, counts, values, places)
            for values in (pairs.table, pairs.changed, pairs.changed - pairs.table)  # slopes are linear
        ]
        found.append(Effect(name, *slopes))
    return tuple(found)


def measure_slopes(counts: NDArray[np.int64], values: Floats) -> list[Interval | None]:
    """Each operation's slope on n cells of one kind: values (`float64[n]`) on counts (`int64[n, k]`)."""
    places = draw_places(np.zeros(len(values), np.bool_))
    return [find_interval(find_slopes, column, values, places) for column in counts.T.astype(np.float64)]


# ------------------------------------------------------------------------------------------------ statistics


def draw_places(top: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Bootstrap draws of cells within both kinds, `intp[draws, n]`; the same at every call."""
    rng = np.random.default_rng(0)
    kinds = [np.flatnonzero(top), np.flatnonzero(~top)]
    drawn = [kind[rng.integers(0, len(kind), (DRAWS, len(kind)))] for kind in kinds if len(kind)]
    return np.concatenate(drawn, axis=1) if drawn else np.zeros((DRAWS, 0), np.intp)


def find_interval(
    statistic: Statistic, one: Floats, other: Floats, places: NDArray[np.intp]
) -> Interval | None:
    """A statistic of `float64[n]` twice; None of too few cells, or where it or most draws have no value."""
    if len(one) < FEWEST:
        return None
    value = float(statistic(one[None], other[None])[0])
    drawn = statistic(one[places], other[places])
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or 2 * len(known) < len(drawn):
        return None
    low, high = np.quantile(known, (0.025, 0.975)).tolist()
    return Interval(value, low, high)


def find_ceiling(statistic: Statistic, values: Floats, noise: Floats) -> float | None:
    """What an order without noise would reach beside values (`float64[n]`) of this noise (`float64[n]`).

    The truth is taken as the values, drawn together until their variance is what noise leaves over.
    """
    if len(values) < FEWEST or np.isnan(noise).any() or np.ptp(values) == 0:
        return None
    left = max(0.0, 1 - float(np.mean(noise**2)) / float(np.var(values)))
    truth = np.tile(np.sqrt(left) * (values - values.mean()), (CEILING_DRAWS, 1))
    drawn = noise * np.random.default_rng(0).standard_normal(truth.shape)
    found = statistic(truth, truth + drawn)
    return 0.0 if np.isnan(found).all() else float(np.nanmean(found))


def correlate_ranks(one: Floats, other: Floats) -> Floats:
    """Spearman's rho of each row, `float64[d, n]` twice to `float64[d]`; NaN where a row is constant."""
    from scipy.stats import rankdata

    ranks = [np.asarray(rankdata(values, axis=1), np.float64) for values in (one, other)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    return _divide(
        (centred[0] * centred[1]).sum(1), np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    )


def correlate_pairs(one: Floats, other: Floats) -> Floats:
    """Kendall's tau-b of each row, `float64[d, n]` twice to `float64[d]`; NaN where a row is constant."""
    first, second = np.triu_indices(one.shape[1], 1)
    signs = [np.sign(values[:, first] - values[:, second]) for values in (one, other)]
    untied = [(sign**2).sum(1) for sign in signs]
    return _divide((signs[0] * signs[1]).sum(1), np.sqrt(untied[0] * untied[1]))


def find_slopes(counts: Floats, values: Floats) -> Floats:
    """Least-squares slope of each row of values on counts, `float64[d, n]` twice to `float64[d]`."""
    centred = counts - counts.mean(axis=1, keepdims=True)
    return _divide((centred * values).sum(1), (centred**2).sum(1))


def _divide(above: Any, below: Any) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0), np.float64)
