"""Figures as a person reads them."""

from __future__ import annotations

import math

UNKNOWN = "-"


def format_accuracy(value: float | None) -> str:
    """An accuracy in [0, 1] as per cent: `91.84%`."""
    return UNKNOWN if value is None or math.isnan(value) else f"{100 * value:.2f}%"


def format_count(value: float | None) -> str:
    """A whole number with its thousands apart: `301,056`."""
    return UNKNOWN if value is None or value < 0 else f"{value:,.0f}"


def format_large(value: float | None) -> str:
    """A large number to three or four figures: `3.19M`, `24.94B`."""
    if value is None or value < 0:
        return UNKNOWN
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.2f}{unit}"
    return f"{value:.0f}"


def format_correlation(value: float | None) -> str:
    """A correlation in [-1, 1], two decimals."""
    return UNKNOWN if value is None or math.isnan(value) else f"{value:.2f}"


def format_duration(seconds: float | None) -> str:
    """A span of time in its two largest units: `3 h 20 min`, `1 min 05 s`, `0.4 s`."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min"
