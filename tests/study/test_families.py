from __future__ import annotations

from typing import Any

import pytest

from pnas_sim.study.families import find_shared, list_families
from pnas_tables.families import FAMILIES

TREES, PROCESS = "regression trees", "Gaussian process"


def make_result(**settings: Any) -> dict[str, Any]:
    """As much of a comparison as says what its surrogate was."""
    return {"table": {"settings": settings}}


def of_kind(family: str) -> dict[str, Any]:
    """A comparison by a surrogate of a family that tables have."""
    return make_result(surrogate="anything", surrogate_kind=FAMILIES[family].kind)


@pytest.mark.parametrize(
    ("result", "families"),
    [
        (of_kind("lightgbm"), {TREES}),
        (of_kind("gp"), {PROCESS}),
        (of_kind("mean"), {TREES, PROCESS}),
        (make_result(surrogate="mine", surrogate_kind="graphs-1"), {"graphs-1"}),
        (make_result(surrogate="mine", surrogate_kind=None), {"mine"}),
        (make_result(surrogate="mine"), {"mine"}),
        (make_result(surrogate="gp"), {PROCESS}),  # of before kinds were told
        (make_result(), {"none"}),
    ],
)
def test_families_are_those_of_the_kind_and_without_one_the_name(
    result: dict[str, Any], families: set[str]
) -> None:
    assert list_families(result) == families


def test_comparisons_are_one_where_each_two_share_a_family() -> None:
    trees, process, mean = map(of_kind, ("lightgbm", "gp", "mean"))
    assert find_shared([trees, trees]) == find_shared([trees, mean]) == {TREES}
    assert find_shared([mean, mean]) == {TREES, PROCESS}
    assert find_shared([trees, process]) == find_shared([trees, process, mean]) == set()
    assert find_shared([trees]) == set()


def test_users_own_surrogates_count_by_name_unless_they_tell_their_kind() -> None:
    one, other = make_result(surrogate="one"), make_result(surrogate="other")
    assert find_shared([one, other]) == set()
    told = [make_result(surrogate=name, surrogate_kind="graphs-1") for name in ("one", "other")]
    assert find_shared(told) == {"graphs-1"}
