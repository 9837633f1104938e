from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pnas_sim.report.comparison_sheets import format_percent
from pnas_sim.report.comparison_sides import make_end_table, make_side_table
from pnas_sim.report.comparison_table import choose_duels, format_factor, format_points

MakeComparison = Callable[..., dict[str, Any]]


def split(line: str) -> list[str]:
    return line.replace("\\|", "/").strip("| ").split(" | ")


def test_families_stand_side_by_side(make_comparison: MakeComparison) -> None:
    one, other = make_comparison(), make_comparison(worlds=(0, 1, 2))
    lines = make_side_table({"trees": one, "kernels": other}, "pnas")
    rows = {tuple(split(line)[:2]): split(line)[2:] for line in lines[2:]}
    assert len(rows) == len(lines) - 2 == 4  # two searches, two tops
    duels = {
        (row["search"], row["top"]): (first, row)
        for first, row in zip(
            *(choose_duels(result, "pnas", "paper", "expected") for result in (one, other)), strict=True
        )
    }
    for top in (1, 15):
        pair = duels["random", top]
        assert rows["random", str(top)] == [
            *(format_factor(row["speed_up_models"]) for row in pair),
            *(format_factor(row["speed_up_examples"]["paper"]) for row in pair),
            *(format_points(row["difference_at_reference_models"]) for row in pair),
        ]


def test_a_search_that_one_family_lacks_has_no_figures_there(make_comparison: MakeComparison) -> None:
    whole, less = make_comparison(), make_comparison()
    less["efficiency"] = [row for row in less["efficiency"] if row["search"] != "random"]
    less["searches"] = [one for one in less["searches"] if one["label"] != "random"]
    results = {"less": less, "whole": whole}
    sides = next(split(line) for line in make_side_table(results, "pnas") if line.startswith("| random | 1 "))
    assert sides[2::2] == ["-"] * 3
    assert "-" not in sides[3::2]
    ends = next(split(line) for line in make_end_table(results, [1]) if line.startswith("| random |"))
    assert ends[2::2] == ["-"] * 2
    assert all("%" in field for field in ends[3::2])


def test_ends_are_noise_free_of_all_visited(make_comparison: MakeComparison) -> None:
    result = make_comparison()
    lines = make_end_table({"trees": result}, [15])
    assert len(lines) == 2 + len(result["searches"])
    final = next(
        one
        for one in result["searches"][0]["final"]
        if (one["counting"], one["kind"], one["top"]) == ("symmetrical", "expected", 15)
    )
    assert split(lines[2]) == [
        "pnas",
        "15",
        format_percent(final["equal_models"]),
        format_percent(final["end"]),
    ]


def test_what_was_observed_can_be_asked_for_of_each(make_comparison: MakeComparison) -> None:
    """Beside a comparison on measured cells, which has no noise-free values."""
    result = make_comparison()
    sides = make_side_table({"trees": result}, "pnas", "observed")
    (duel, *_) = choose_duels(result, "pnas", "paper", "observed")
    assert split(sides[2])[2] == format_factor(duel["speed_up_models"])
    observed, expected = (make_end_table({"trees": result}, [15], kind) for kind in ("observed", None))
    assert observed[2:] != expected[2:]
