"""Comparisons of the same searches on several surrogate families side by side, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.report.comparison_sheets import format_percent
from pnas_sim.report.comparison_table import choose_duels, format_factor, format_points
from pnas_sim.report.text import UNKNOWN

Results: TypeAlias = Mapping[str, Mapping[str, Any]]
Key: TypeAlias = tuple[str, int]  # a search's label, and M
Found: TypeAlias = Mapping[str, Mapping[Key, Mapping[str, Any]]]  # what each family has of each of them
Write: TypeAlias = Callable[[Mapping[str, Any]], str]


def make_side_table(results: Results, reference: str, kind: str | None = None) -> list[str]:
    """How each search does against a reference on each family, by the paper's counting.

    Args:
        results: the object of a comparison, by the name of its surrogate family.
        reference: label of a search that all of them measured against.
        kind: of the values, "observed" or "expected"; by default of each family its own noise-free ones if it
            knows them.
    """
    found = {
        family: {
            (row["search"], row["top"]): row
            for row in choose_duels(result, reference, "paper", kind or result["kinds"][-1])
        }
        for family, result in results.items()
    }
    figures: dict[str, Write] = {
        "speed-up in models": lambda row: format_factor(row["speed_up_models"]),
        "in examples": lambda row: format_factor(row["speed_up_examples"]["paper"]),
        "better at equal models, points": lambda row: format_points(row["difference_at_reference_models"]),
    }
    return _put_side_by_side("against", found, figures)


def make_end_table(results: Results, tops: Sequence[int], kind: str | None = None) -> list[str]:
    """The accuracy of the best cells visited: after the reference's models, at the end.

    Args:
        results: as for `make_side_table`.
        tops: M, of the means of the best M.
        kind: as for `make_side_table`.
    """
    found = {
        family: {
            (search["label"], final["top"]): final
            for search in result["searches"]
            for final in search["final"]
            if (final["counting"], final["kind"]) == ("symmetrical", kind or result["kinds"][-1])
            and final["top"] in tops
        }
        for family, result in results.items()
    }
    figures: dict[str, Write] = {
        "at equal models": lambda final: format_percent(final["equal_models"]),
        "at the end": lambda final: format_percent(final["end"]),
    }
    return _put_side_by_side("search", found, figures)


def _put_side_by_side(head: str, found: Found, figures: Mapping[str, Write]) -> list[str]:
    """A row a search and top, a column a figure and family."""
    keys = dict.fromkeys(key for rows in found.values() for key in rows)
    columns = [(write, rows) for write in figures.values() for rows in found.values()]
    return make_table(
        (head, "top", *(f"{figure}, {family}" for figure in figures for family in found)),
        ((*key, *(write(rows[key]) if key in rows else UNKNOWN for write, rows in columns)) for key in keys),
    )
