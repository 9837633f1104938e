from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from pnas_sim.study.rank_tests import average_worlds, correct_by_holm, find_p_value, rank_pairs


@settings(deadline=None, max_examples=60)
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_exactly_what_stepping_down_rejects(p_values: list[float]) -> None:
    corrected = correct_by_holm(p_values)
    for level in (0.01, 0.05, 0.3):
        order, rejected = sorted(range(len(p_values)), key=lambda place: p_values[place]), set()
        for rank, place in enumerate(order):
            if p_values[place] > level / (len(p_values) - rank):
                break
            rejected.add(place)
        found = {place for place, value in enumerate(corrected) if value <= level}
        assert found ^ rejected <= {p for p in found ^ rejected if abs(corrected[p] - level) < 1e-9}
    assert all(value >= raw for value, raw in zip(corrected, p_values, strict=True))


def test_holm_by_hand() -> None:
    assert correct_by_holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert correct_by_holm([]) == []


def test_every_pair_is_tested_once_with_its_wins() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, 12)
    values = {"a": base + 1, "b": base + rng.normal(0, 0.1, 12), "c": base}
    tests = rank_pairs(values)
    assert [(one.first, one.second) for one in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert tests[0].wins == 1
    assert tests[0].holm == pytest.approx(3 * 2 / 2**12)  # exact: all signs the same; three tests
    assert tests[2].p_value == pytest.approx(float(wilcoxon(values["b"], values["c"]).pvalue))


def test_a_search_without_values_yet_spoils_no_other_pair() -> None:
    rng = np.random.default_rng(0)
    values = {"a": rng.normal(0, 1, 12), "b": rng.normal(3, 1, 12), "c": rng.normal(9, 1, 12)}
    late = np.where(np.arange(12) < 3, np.nan, 5.0)
    tests = {(one.first, one.second): one for one in rank_pairs({**values, "late": late})}
    for alone in rank_pairs(values):
        assert tests[alone.first, alone.second] == alone
    for first in values:
        found = tests[first, "late"]
        assert np.isnan([found.p_value, found.holm, found.difference, found.wins]).all()


def test_nothing_differs() -> None:
    assert find_p_value(np.zeros(5)) == 1
    (only,) = rank_pairs({"a": np.ones(4), "b": np.ones(4)})
    assert (only.wins, only.difference, only.p_value) == (0.5, 0, 1)


SPREAD = [0.1 * n * (-1) ** n + 0.03 for n in range(1, 51)]


@pytest.mark.parametrize(
    ("difference", "method"),
    [
        (SPREAD[:7], "exact"),
        (SPREAD, "exact"),
        ([*SPREAD, 9.0], "approx"),  # more than 50 pairs
        ([0.0, 0.1, 0.2, 0.3, 0.4, -0.5], "approx"),  # one pair is equal
        ([0.1, -0.1, 0.2, 0.3, 0.4, 0.5], "approx"),  # two differ by as much, in opposite ways
    ],
)
def test_signed_ranks_are_exact_where_pairs_are_few_and_untied(difference: list[float], method: str) -> None:
    found, wanted = find_p_value(np.array(difference)), wilcoxon(difference, method=method).pvalue
    assert found == pytest.approx(float(wanted))
    assert found != wilcoxon(difference, method="approx" if method == "exact" else "exact").pvalue


def test_the_difference_of_a_pair_of_searches_is_a_median() -> None:
    (only,) = rank_pairs({"a": np.array([1.0, 2.0, 9.0]), "b": np.array([0.0, 0.0, 1.0])})
    assert (only.difference, only.wins, only.pairs) == (2.0, 1.0, 3)


@pytest.mark.parametrize("difference", [[0.1], [0.1, 0.1, -0.1], [0.0, 0.2, 0.3], [1.0] * 60])
def test_ties_zeros_and_single_pairs_are_no_trouble(difference: list[float]) -> None:
    assert 0 <= find_p_value(np.array(difference)) <= 1


def test_means_of_worlds() -> None:
    assert average_worlds(np.array([1.0, 3.0, 5.0, 9.0]), 2).tolist() == [2, 7]
