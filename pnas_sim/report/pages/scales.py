"""Axes of charts: where a value stands, and where the ticks are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

MOST_TICKS = 6
MOST_DECIMALS = 15
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
CLOSE = 100.0  # a logarithmic axis that ends below so many times its beginning has ticks at 2 and 5, too


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight or logarithmic axis.

    Attributes:
        low: where it begins; above 0 if it is logarithmic.
        high: where it ends, above `low`.
        logarithmic: equal steps are equal factors.
    """

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """0 where the axis begins, 1 where it ends; values outside lie outside."""
        if self.logarithmic:
            value = max(value, 1e-300)  # a logarithm of nothing lies far to the left
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def list_ticks(self) -> list[float]:
        """Round values along the axis, at most `MOST_TICKS`."""
        return _list_powers(self.low, self.high) if self.logarithmic else _list_steps(self.low, self.high)


def span(values: Iterable[float], margin: float = 0.04) -> Scale:
    """A straight axis that holds all finite values, with room at its ends; [0, 1] if there is none."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Scale(0.0, 1.0)
    low, high = min(known), max(known)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(low - room, high + room)


def span_logarithm(values: Iterable[float]) -> Scale:
    """A logarithmic axis from the lowest to the highest value above 0; [1, 10] if there is none."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    if not known:
        return Scale(1.0, 10.0, True)
    low, high = min(known), max(known)
    return Scale(low, high if high > low else 10 * low, True)


def choose_format(ticks: list[float]) -> Callable[[float], str]:
    """How ticks are written: with as many decimals as tell them apart, large ones with commas or a letter."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest >= 1e6:
        return lambda value: f"{value / 1e6:g}M"
    steps = [after - before for before, after in pairwise(ticks)]
    least = min((step for step in steps if step > 0), default=1.0)
    if any(not math.isclose(step, least, rel_tol=1e-3) for step in steps):  # a logarithmic axis
        return lambda value: f"{value:,g}"
    decimals = next((count for count in range(MOST_DECIMALS) if _is_whole(least * 10**count)), MOST_DECIMALS)
    return lambda value: f"{value:,.{decimals}f}"


def _is_whole(value: float) -> bool:
    """Whether a value above 0 is a whole number, but for rounding."""
    return round(value) > 0 and abs(value - round(value)) < 1e-4 * value


def _list_steps(low: float, high: float) -> list[float]:
    raw = (high - low) / (MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in NICE if nice * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _list_powers(low: float, high: float) -> list[float]:
    parts = (1.0, 2.0, 5.0) if high < CLOSE * low else (1.0,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [part * 10.0**power for power in range(first, last + 1) for part in parts]
    inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    every = max(1, math.ceil(len(inside) / MOST_TICKS))
    return inside[::every]
