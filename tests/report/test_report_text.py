from __future__ import annotations

from math import inf, nan

import pytest

from pnas_sim.report.text import (
    format_accuracy,
    format_correlation,
    format_count,
    format_duration,
    format_large,
)


@pytest.mark.parametrize(
    ("value", "text"), [(0.91836, "91.84%"), (0.0, "0.00%"), (1.0, "100.00%"), (None, "-"), (nan, "-")]
)
def test_accuracies_are_per_cent(value: float | None, text: str) -> None:
    assert format_accuracy(value) == text


@pytest.mark.parametrize(("value", "text"), [(301056, "301,056"), (0, "0"), (None, "-"), (-1, "-")])
def test_counts_have_thousands(value: int | None, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3_189_082, "3.19M"), (24.94e9, "24.94B"), (1500, "1.50k"), (12, "12"), (None, "-")]
)
def test_large_numbers_have_units(value: float | None, text: str) -> None:
    assert format_large(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.469, "0.47"), (-0.1, "-0.10"), (None, "-"), (nan, "-")])
def test_correlations_have_two_decimals(value: float | None, text: str) -> None:
    assert format_correlation(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (12.4, "12 s"),
        (65, "1 min 05 s"),
        (3599.6, "1 h 00 min"),
        (12_000, "3 h 20 min"),
        (4_000_000, "1,111 h 06 min"),
        (None, "-"),
        (nan, "-"),
        (inf, "-"),
    ],
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text
