"""Comparisons of the same searches on several surrogate families side by side, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.report.comparison_sheets import format_percent
from pnas_sim.report.comparison_table import choose_duels, format_factor, format_points
from pnas_sim.report.text import UNKNOWN

Results: TypeAlias = Mapping[str, Mapping[str, Any]]
Write: TypeAlias = Callable[[Mapping[str, Any]], str]


def make_side_table(results: Results, reference: str) -> list[str]:
    """How each search does against a reference on each family: noise-free, by the paper's counting.

    Args:
        results: the object of a comparison, by the name of its surrogate family.
        reference: label of a search that all of them measured against.
    """
    duels = {
        family: {
            (row["search"], row["top"]): row for row in choose_duels(result, reference, "paper", "expected")
        }
        for family, result in results.items()
    }
    keys = dict.fromkeys(key for rows in duels.values() for key in rows)
    figures = ("speed-up in models", "in examples", "better at equal models, points")
    writers: tuple[Write, ...] = (
        lambda row: format_factor(row["speed_up_models"]),
        lambda row: format_factor(row["speed_up_examples"]["paper"]),
        lambda row: format_points(row["difference_at_reference_models"]),
    )
    return make_table(
        ("against", "top", *(f"{figure}, {family}" for figure in figures for family in results)),
        (
            (
                *key,
                *(
                    write(rows[key]) if key in rows else UNKNOWN
                    for write in writers
                    for rows in duels.values()
                ),
            )
            for key in keys
        ),
    )


def make_end_table(results: Results, tops: Sequence[int]) -> list[str]:
    """The noise-free accuracy of the best cells visited: after as many models as the reference, at the end.

    Args:
        results: as for `make_side_table`.
        tops: M, of the means of the best M.
    """
    ends = {
        family: {
            (search["label"], final["top"]): final
            for search in result["searches"]
            for final in search["final"]
            if (final["counting"], final["kind"]) == ("symmetrical", "expected") and final["top"] in tops
        }
        for family, result in results.items()
    }
    keys = dict.fromkeys(key for finals in ends.values() for key in finals)
    heads = [f"{when}, {family}" for when in ("at equal models", "at the end") for family in results]
    return make_table(
        ("search", "top", *heads),
        (
            (
                *key,
                *(
                    format_percent(finals[key][when]) if key in finals else UNKNOWN
                    for when in ("equal_models", "end")
                    for finals in ends.values()
                ),
            )
            for key in keys
        ),
    )
